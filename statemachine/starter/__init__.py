"""Starts the night's execution exactly once. A small zip, called by the schedule or by hand."""
