"""Benchmarks of this tool and its peers doing the same work: ``make bench``."""
