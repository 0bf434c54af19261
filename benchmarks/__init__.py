"""The same work done by this tool and by its peers, side by side: ``make bench``."""
