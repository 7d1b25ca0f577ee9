"""The pods of a pool, each asked for its own activity with ``GET <url>/activity``.

A round asks a bounded number of a pool's pods at once and ends after a bounded time; whatever has not answered by then
is unknown. So a pool of hung pods costs its own round and nobody else's.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from scaler.config.pool import ActivityEndpoints
from scaler.core.pods import Pods
from scaler.core.types import Instant, Seconds, Unknown
from scaler.sources.activity_answer import report
from scaler.sources.get import GetLimits, Getter, open_getter
from scaler.sources.health import Failed, Fault, Health, Tally
from scaler.sources.roll import Answer, Roll
from scaler.sources.text import shown

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundLimits:
    """What one round may cost.

    Attributes:
        pod: seconds for one pod to answer completely.
        whole: seconds for the round.
        at_once: pods of one pool asked at once.
        sockets: connections to the pods of all pools together.
        body: bytes of one answer.
    """

    pod: Seconds = 2.0
    whole: Seconds = 4.0
    at_once: int = 64
    sockets: int = 4096
    body: int = 4_096  # twenty times what a pod has to say


@asynccontextmanager
async def open_activity(limits: RoundLimits | None = None) -> AsyncIterator[Activities]:
    """A reader with its connections, which are closed at the end."""
    limits = limits or RoundLimits()
    async with open_getter(GetLimits(whole=limits.pod, body=limits.body, sockets=limits.sockets)) as getter:
        yield Activities(getter, limits)


class Activities:
    """Asks pods. Belongs to one event loop."""

    def __init__(self, getter: Getter, limits: RoundLimits) -> None:
        self._getter = getter
        self._limits = limits
        self._roll = Roll()
        self._tally = Tally("activity")
        self._unheard: dict[str, Unknown] = {}

    async def read(self, endpoints: ActivityEndpoints, now: Instant) -> Pods:
        """Ask every pod, and list them all. What they say is true at ``now``, when they were asked, or later."""
        answers = await self._round(tuple(dict.fromkeys(endpoints.urls)))
        pods, failed = self._roll.call(answers, now)
        self._note(answers, failed)
        return pods

    async def ask(self, urls: Iterable[str]) -> Mapping[str, Answer]:
        """What the agents at these URLs say of themselves, each of whose pods somebody else knows."""
        return await self._round(tuple(dict.fromkeys(urls)))

    def unheard(self, endpoints: ActivityEndpoints) -> Mapping[str, Unknown]:
        """By URL, why the activity of some of these pods was unknown in the last round."""
        return {url: self._unheard[url] for url in endpoints.urls if url in self._unheard}

    def health(self) -> Health:
        """The counters over all pods."""
        return self._tally.health()

    async def _round(self, urls: tuple[str, ...]) -> dict[str, Answer]:
        """Every pod's answer, or why there is none, within the round's time."""
        places = asyncio.Semaphore(self._limits.at_once)
        tasks = {url: asyncio.create_task(self._ask(url, places)) for url in urls}
        try:
            if tasks:
                await asyncio.wait(tasks.values(), timeout=self._limits.whole)
        finally:
            for task in tasks.values():
                task.cancel()
        return {url: self._outcome(task) for url, task in tasks.items()}

    async def _ask(self, url: str, places: asyncio.Semaphore) -> Answer:
        """One pod's answer, counted with its time."""
        async with places:
            clock = asyncio.get_running_loop().time
            begun = clock()
            body = await self._getter.get(f"{url.rstrip('/')}/activity")
            answer = body if isinstance(body, Failed) else report(body)
            self._tally.add(answer, clock() - begun)
            return answer

    def _outcome(self, task: asyncio.Task[Answer]) -> Answer:
        if task.done():
            return task.result()
        late = Failed(Fault.SLOW, f"no answer before the round ended after {self._limits.whole:g} s")
        self._tally.add(late, self._limits.whole)
        return late

    def _note(self, answers: Mapping[str, Answer], failed: Mapping[str, Failed]) -> None:
        """Remember who is unheard; log once a round, and only when somebody new is."""
        new = [url for url in failed if url not in self._unheard]
        for url in answers:
            self._unheard.pop(url, None)
        self._unheard.update((url, Unknown(f"pod {shown(url)}: {f.why}")) for url, f in failed.items())
        if len(self._unheard) > len(self._roll.urls):  # some have left every pool
            self._unheard = {url: why for url, why in self._unheard.items() if url in self._roll.urls}
        if new:
            why = self._unheard[new[0]].why
            LOG.warning("pods are unheard", extra={"unheard": len(failed), "asked": len(answers), "why": why})
