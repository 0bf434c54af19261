"""Copies an operational PostgreSQL to a reporting PostgreSQL every night: one snapshot, one publish."""

__version__ = "0.1.0"
