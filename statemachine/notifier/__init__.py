"""Tells Slack how a run ended. A small zip of its own, outside the VPC: it knows nothing of ``etl``."""
