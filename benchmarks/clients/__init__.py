"""Scripts that copy with a peer's library, each run by that peer's own environment."""
