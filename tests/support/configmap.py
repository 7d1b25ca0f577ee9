"""A ConfigMap mounted as the kubelet does it: files are links into ``..data``, which is a link to a dated folder."""

from __future__ import annotations

import shutil
from itertools import count
from pathlib import Path

DATA = "..data"
NAME = "pools.yaml"


class Mounted:
    """A mounted ConfigMap with one key. ``file`` is what a program is told to read."""

    def __init__(self, root: Path, text: str) -> None:
        self._root = root
        self._versions = (root / f"..2026_11_21_12_00_{i:02}.{i:09}" for i in count())
        self.file = root / NAME
        self.swap(text)
        self.file.symlink_to(Path(DATA, NAME))

    def swap(self, text: str) -> None:
        """What the kubelet does when the ConfigMap has changed: a new folder, one rename, and the old folder goes."""
        data, folder = self._root / DATA, next(self._versions)
        former = data.resolve() if data.exists() else None
        folder.mkdir()
        (folder / NAME).write_text(text, encoding="utf-8")
        link = self._root / "..data_tmp"
        link.symlink_to(folder.name)
        link.rename(data)
        if former is not None:
            shutil.rmtree(former)

    def write(self, text: str) -> None:
        """Write into the file itself, as no kubelet does and people do."""
        self.file.write_text(text, encoding="utf-8")

    def vanish(self) -> None:
        """Take the file away."""
        (self._root / DATA).rename(self._root / "..away")

    def appear(self) -> None:
        """Put it back as it was."""
        (self._root / "..away").rename(self._root / DATA)
