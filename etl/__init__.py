"""Copies an operational PostgreSQL to a reporting PostgreSQL every night: one snapshot, one publish."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    __version__: str
else:

    def __getattr__(name: str) -> str:
        """Looks ``__version__`` up on first use, because the import would take some milliseconds of each start."""
        if name != "__version__":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib.metadata import version

        return version("nightly-etl")
