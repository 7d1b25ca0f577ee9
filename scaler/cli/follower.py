"""The configuration file while it is served: it may change, as a mounted ConfigMap does.

Kubernetes writes a changed ConfigMap into a new folder and then swaps one symbolic link, so a file whose real path has
changed is whole and is taken at once. Any other change may be one that is still being written, so such a file is taken
when it has stood still from one look to the next. Looking costs a ``stat``; the text is read only when that differs.
"""

from __future__ import annotations

import asyncio
import errno
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from scaler.cli.keeper import Keeper
from scaler.cli.warnings import Warner
from scaler.config.check import checked
from scaler.config.problems import ConfigError, Problem
from scaler.core.types import Seconds
from scaler.live.clock import Clock
from scaler.web.running import Reloads

LOOK: Final[Seconds] = 0.5  # two looks and the reading of a large file are less than two seconds
TOLD: Final = 10  # problems of one file that the log has
LOG: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Stamp:
    """A file by its real path, and the state it is in."""

    path: str
    state: tuple[int, ...]


def _stamp(file: Path) -> _Stamp:
    """The state of a file that can be read without waiting for somebody: opening a pipe would never end.

    Raises:
        OSError: there is none.
    """
    path = os.path.realpath(file)
    found = os.stat(path)  # noqa: PTH116 - one call, on the very path that was resolved
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "it is no regular file; put one there", path)
    return _Stamp(path, (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns))


class Watched:
    """One file, looked at from a thread: a file system that hangs holds nobody else up."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._looked: _Stamp | None = None
        self._read: _Stamp | None = None

    def changed(self) -> str | None:
        """The text, where it may be another than the last one and is whole.

        Raises:
            OSError, UnicodeDecodeError: it cannot be read now.
        """
        try:
            return self._changed()
        except (OSError, UnicodeDecodeError):
            self._read = None  # what comes back is read again, though it be the same
            raise

    def _changed(self) -> str | None:
        before, now = self._looked, _stamp(self._file)
        self._looked = now
        swapped = before is not None and before.path != now.path
        if now == self._read or not (swapped or now == before):
            return None
        text = self._file.read_text(encoding="utf-8")
        if _stamp(self._file) != now:
            return None
        self._read = now
        return text


class Follower:
    """Keeps to the file as it changes. What cannot be used changes nothing, is counted, and is told in the log once.

    Attributes:
        reloads: what became of each change.
    """

    def __init__(self, config: Path, text: str, reloads: Reloads, warner: Warner | None = None) -> None:
        self.reloads = reloads
        self._warner = warner
        self._config = config
        self._file = Watched(config)
        self._seen: str | None = text  # None while it cannot be read

    async def follow(self, keeper: Keeper, clock: Clock) -> None:
        """Look at the file now and then, until cancelled."""
        while True:
            await self._look(keeper, clock)
            await clock.sleep_until(clock.now() + LOOK)

    async def _look(self, keeper: Keeper, clock: Clock) -> None:
        try:
            text = await asyncio.to_thread(self._file.changed)
        except (OSError, UnicodeDecodeError) as error:
            if self._seen is not None:
                self._seen = None
                self.reloads.refused()
                told = "the configuration cannot be read and stays as it was"
                LOG.warning(told, file=str(self._config), why=str(error))
            return
        if text is not None and text != self._seen:
            self._seen = text
            await self._take(keeper, clock, text)

    async def _take(self, keeper: Keeper, clock: Clock, text: str) -> None:
        try:
            settings = await asyncio.to_thread(checked, text)  # a large file takes a second, and calls must not wait
        except ConfigError as error:
            self._refuse(error.problems)
            return
        await keeper.reload(settings)
        self.reloads.taken(clock.now())
        LOG.info("the configuration has changed", file=str(self._config), pools=len(settings.pools))
        if self._warner is not None:
            self._warner.look(settings)

    def _refuse(self, problems: tuple[Problem, ...]) -> None:
        self.reloads.refused()
        told = "the configuration cannot be used and stays as it was"
        for problem in problems[:TOLD]:
            LOG.error(told, file=str(self._config), why=str(problem), problems=len(problems))
