"""Files that are there whole or not at all, whatever kills us while we write."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import BinaryIO


def replace_file(path: Path, content: bytes) -> None:
    """Put this content in the file's place: who reads it finds the former content or the new, also after a crash.

    Raises:
        OSError: it could not be written; the former content stands.
    """
    draft = path.with_name(f"{path.name}.draft")
    with draft.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make names given and taken in the folder outlast a loss of power."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def own_folder(folder: Path) -> BinaryIO:
    """Make the folder if it is missing, and keep other processes off it until the result is closed, or we end.

    Raises:
        OSError: it cannot be made or written to, or another process has it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = (folder / ".lock").open("wb")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        raise OSError(error.errno, "another process writes there", str(folder)) from error
    return lock
