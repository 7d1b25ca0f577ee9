"""The configuration file while it is served: it may change, as a mounted ConfigMap does."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

import structlog

from scaler.cli.keeper import Keeper
from scaler.config.check import checked
from scaler.config.problems import ConfigError
from scaler.core.types import Seconds
from scaler.live.clock import Clock

REREAD: Final[Seconds] = 5.0  # the kubelet takes a minute to bring a changed ConfigMap, so no more haste than this
LOG: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)


class Follower:
    """Keeps to the file as it changes. What cannot be used changes nothing and is told in the log, once."""

    def __init__(self, config: Path, text: str) -> None:
        self._config = config
        self._seen: str | None = text  # None while it cannot be read

    async def follow(self, keeper: Keeper, clock: Clock) -> None:
        """Look at the file now and then."""
        while True:
            await clock.sleep_until(clock.now() + REREAD)
            text = await self._read()
            if text is not None and text != self._seen:
                await self._take(keeper, text)
            self._seen = text

    async def _read(self) -> str | None:
        try:
            return await asyncio.to_thread(self._config.read_text, encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            if self._seen is not None:
                told = "the configuration cannot be read and stays as it was"
                LOG.warning(told, file=str(self._config), why=str(error))
            return None

    async def _take(self, keeper: Keeper, text: str) -> None:
        try:
            settings = await asyncio.to_thread(checked, text)  # a large file takes a second, and calls must not wait
        except ConfigError as error:
            told = "the configuration cannot be used and stays as it was"
            for problem in error.problems:
                LOG.warning(told, file=str(self._config), why=str(problem))
            return
        keeper.reload(settings)
        LOG.info("the configuration has changed; timeouts and concurrency of sources wait for a restart")
