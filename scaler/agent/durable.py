"""What the gate must not forget, in a folder that outlives the container: an ``emptyDir`` of the pod.

A write is done when the file, its name and the folder are on disk. Whatever ends the process in between leaves the
former content or the new one, never a half of either.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

VERSION: Final = 1  # of what the files say
LARGEST: Final = 64 * 1024 * 1024  # bytes that a file of ours can have

Json: TypeAlias = "str | int | float | bool | list[Json] | dict[str, Json] | None"


class TakenError(OSError):
    """Another process has this folder, so its gate is not ours."""


@dataclass(frozen=True, slots=True)
class Absent:
    """There is no such file: nothing was ever written here."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """There is a file, and what it says cannot be known."""

    why: str


class Folder:
    """A folder that one process has at a time, until it ends."""

    def __init__(self, path: Path) -> None:
        """Make the folder where it is missing, and take it.

        Raises:
            TakenError: another process has it.
            OSError: it cannot be made or written to.
        """
        path.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._lock: int | None = _take(path)

    def read(self, name: str) -> dict[str, Json] | Absent | Unreadable:
        """What a file says."""
        try:
            with (self.path / name).open("rb") as file:
                said: Json = json.loads(file.read(LARGEST))
        except FileNotFoundError:
            return Absent()
        except (OSError, ValueError, RecursionError) as error:
            return Unreadable(f"{self.path / name} cannot be read: {error}")
        if not isinstance(said, dict) or said.get("version") != VERSION:
            return Unreadable(f"{self.path / name} is not of version {VERSION}")
        return said

    def write(self, name: str, said: Mapping[str, Json]) -> None:
        """Put this in the file's place, and return when it is on disk.

        Raises:
            OSError: it could not be written; the former content may stand, or the new one.
        """
        draft = self.path / f"{name}.draft"
        with draft.open("wb") as file:
            file.write(json.dumps({"version": VERSION, **said}).encode())
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self.path / name)
        handle = os.open(self.path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def close(self) -> None:
        """Let others have the folder."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _take(path: Path) -> int:
    """A handle that has the folder until it is closed or the process ends, whatever becomes of who asked for it."""
    handle = os.open(path / "lock", os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        raise TakenError(
            error.errno,
            "another process has this gate, and a pod has one: run one worker process, or the sidecar before them",
            str(path),
        ) from error
    return handle
