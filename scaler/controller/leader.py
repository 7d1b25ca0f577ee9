"""Leading: the Lease sought, kept and given back, and the term that this process has, asked of the clock each time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeAlias

import structlog

from scaler.controller.api import ApiError, StaleError
from scaler.controller.lease import Candidate, Wish
from scaler.controller.leases import Leases
from scaler.core.types import Seconds
from scaler.live.office import Term

LOG: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)
Steady: TypeAlias = Callable[[], Seconds]


class Leader:
    """One of several processes, of which at most one leads at any instant. Belongs to one event loop.

    Attributes:
        begun: terms of this process.
        failures: calls to the API server that did not work.
    """

    def __init__(self, leases: Leases, candidate: Candidate, steady: Steady) -> None:
        self._leases, self._candidate, self._steady = leases, candidate, steady
        self._term: Term | None = None
        self._trouble = False
        self._turned = asyncio.Event()
        self.begun = 0
        self.failures = 0

    @property
    def term(self) -> Term | None:
        """The term that lasts at this instant; None where another leads, or nobody."""
        candidate, term = self._candidate, self._term
        lasts = term is not None and term.epoch == candidate.epoch and candidate.leads(self._steady())
        return term if lasts else None

    @property
    def holder(self) -> str:
        """Who has the Lease as far as we have seen; empty where nobody has."""
        sight = self._candidate.sight
        return "" if sight is None or sight.record is None else sight.record.holder

    async def run(self, begin: Callable[[], None]) -> None:
        """Seek the Lease and keep it, until cancelled.

        ``begin`` is called before each term, so that nothing is answered in it that was decided before.
        """
        while True:
            worked = await self._round()
            self._settle(begin)
            await asyncio.sleep(self._pause(worked=worked))
            self._settle(begin)

    async def turned(self, term: Term | None, *, within: Seconds | None = None) -> Term | None:
        """Wait until the term is another than this one, or so many seconds have passed; returns the one that lasts."""
        try:
            async with asyncio.timeout(within):
                while (lasts := self.term) == term:
                    self._turned.clear()
                    await self._turned.wait()
        except TimeoutError:
            return self.term
        return lasts

    async def release(self) -> None:
        """Lead no more, and give the Lease back, so that others need not wait until it has run out."""
        self._candidate = self._candidate.resigned()
        if self._term is not None:
            LOG.info("this replica gives the lease back", epoch=self._term.epoch)
            self._term = None
            self._turned.set()
        for _ in range(2):  # a renewal that was cut off may have been made all the same
            wish = self._candidate.release()
            if wish is None or await self._write(wish) or not await self._look():
                return

    async def _round(self) -> bool:
        """Look where that is due, and write what is. False if a call did not work."""
        if not (self._candidate.sure and self._candidate.leads(self._steady())) and not await self._look():
            return False
        wish = self._candidate.wish(self._steady())
        return wish is None or await self._write(wish)

    async def _look(self) -> bool:
        try:
            record = await self._leases.read(within=self._patience())
        except ApiError as error:
            self._fail(error)
            return False
        self._candidate = self._candidate.read(record, self._steady())
        self._work()
        return True

    async def _write(self, wish: Wish) -> bool:
        sent, lasts = self._steady(), self._candidate.timing.lasts
        try:
            record = await self._leases.write(wish, lasts, within=self._patience())
        except StaleError:
            self._candidate = self._candidate.doubt()
            return False
        except ApiError as error:
            self._candidate = self._candidate.doubt()
            self._fail(error)
            return False
        self._candidate = self._candidate.wrote(wish, record, sent=sent, now=self._steady())
        self._work()
        return True

    def _patience(self) -> Seconds:
        """How long the next call may take: not past the end of the term, for that must be seen."""
        timing, left = self._candidate.timing, self._candidate.until - self._steady()
        return min(timing.patience, left) if left > 0 else timing.patience

    def _pause(self, *, worked: bool) -> Seconds:
        timing, left = self._candidate.timing, self._candidate.until - self._steady()
        if left <= 0:
            return timing.look
        return min(timing.renew if worked else timing.look, left)

    def _settle(self, begin: Callable[[], None]) -> None:
        """Begin a term, or end one."""
        candidate = self._candidate
        leads = candidate.leads(self._steady())
        if leads and (self._term is None or self._term.epoch != candidate.epoch):
            begin()
            self._term = Term(candidate.name, candidate.epoch)
            self.begun += 1
            LOG.info("this replica leads", holder=candidate.name, epoch=candidate.epoch)
        elif not leads and self._term is not None:
            LOG.warning("this replica leads no more", holder=self.holder, epoch=self._term.epoch)
            self._term = None
        else:
            return
        self._turned.set()

    def _fail(self, error: ApiError) -> None:
        self.failures += 1
        if not self._trouble:
            self._trouble = True
            LOG.warning("the lease cannot be read or written", why=str(error))

    def _work(self) -> None:
        if self._trouble:
            self._trouble = False
            LOG.info("the lease can be read and written again")
