"""The journal's files: numbered, the newest growing, the oldest going when there are too many."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import BinaryIO, Final

from scaler.live.files import own_folder, sync_folder

_NAME: Final = re.compile(r"journal-\d{8}\.jsonl")
_BLOCK: Final = 65_536


def segments(folder: Path) -> list[Path]:
    """The journal's files in a directory, the oldest first."""
    return sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name))


class Segments:
    """Writes the files of one directory, which it keeps to itself. Whatever fails raises OSError.

    Attributes:
        size: bytes of the newest file.
    """

    def __init__(self, folder: Path, kept: int) -> None:
        self._folder, self._kept = folder, kept
        self._lock = own_folder(folder)
        self._file: BinaryIO | None = None
        there = segments(folder)
        self.size = there[-1].stat().st_size if there else 0

    def begin(self, *, anew: bool) -> None:
        """Open a new file, or the newest at the end of its last whole line: what a crash cut short is dropped."""
        self._end()
        there = segments(self._folder)
        if anew or not there:
            number = int(there[-1].stem.partition("-")[2]) + 1 if there else 1
            there.append(self._folder / f"journal-{number:08d}.jsonl")
            self._file = there[-1].open("xb", buffering=0)
            sync_folder(self._folder)
            self.size = 0
        else:
            self._file = there[-1].open("r+b", buffering=0)
            self.size = _whole(self._file)
            self._file.truncate(self.size)
            self._file.seek(self.size)
        for path in there[: -self._kept]:
            path.unlink()

    def write(self, lines: bytes) -> None:
        """Append whole lines. After a failure some may be there, the last of them cut; ``begin`` mends that."""
        if self._file is None:
            raise OSError("no file is open")
        rest = memoryview(lines)
        while rest:
            rest = rest[self._file.write(rest) :]
        self.size += len(lines)

    def close(self) -> None:
        """Finish the file, and let others have the directory."""
        try:
            self._end()
        finally:
            self._lock.close()

    def _end(self) -> None:
        if self._file is not None:
            with self._file as file:
                self._file = None
                os.fsync(file.fileno())


def _whole(file: BinaryIO) -> int:
    """The bytes of a file up to the end of its last line."""
    end = file.seek(0, os.SEEK_END)
    while end > 0:
        start = max(0, end - _BLOCK)
        file.seek(start)
        newline = file.read(end - start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0
