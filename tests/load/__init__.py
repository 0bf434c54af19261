"""Load: many readers, many tables, many runs, and half an hour of them. `make test-load`."""
