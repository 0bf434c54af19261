"""Starts the night's execution, once. A small zip of its own, called by the schedule or by hand."""
