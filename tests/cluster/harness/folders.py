"""A folder for one session's data, and the end of those whose sessions were killed."""

from __future__ import annotations

import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

PREFIX = "agent-scaler-cluster-"
LOCK = "lock"
KEPT = ("logs", "audit.log")


@dataclass
class Folder:
    """The folder of a session. With ``keep`` set, its logs outlive the session."""

    path: Path
    keep: bool = field(default=False)


@contextmanager
def session_folder() -> Iterator[Folder]:
    """A folder of our own until the end of the block. Folders whose owners were killed are removed on the way."""
    path = Path(tempfile.mkdtemp(prefix=PREFIX))
    with path.joinpath(LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _sweep()
        folder = Folder(path)
        try:
            yield folder
        finally:
            _clear(folder)


def _clear(folder: Folder) -> None:
    """Remove it, or all but the logs; without its lock it is nobody's, and kept."""
    kept = {*KEPT} if folder.keep else set()
    for entry in folder.path.iterdir():
        if entry.name in kept:
            continue
        if entry.is_dir():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink()
    if not kept:
        folder.path.rmdir()


def _sweep() -> None:
    """Remove the folders that have a lock which nobody holds."""
    for lock in Path(tempfile.gettempdir()).glob(f"{PREFIX}*/{LOCK}"):
        try:
            with lock.open("r+") as held:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(lock.parent, ignore_errors=True)
        except OSError:
            continue
