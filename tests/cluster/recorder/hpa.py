"""Follows the real HPA through stories, look by look.

The controller looks about once a second: it reads the workload's replicas, asks for the metrics, and acts. While it
asks it waits for us, so nothing depends on how fast this machine is: every other time it finds that its metrics fail,
and before it is told so, what it did before is read and what it shall find next is set up. Only ages are real: a story
ends before the first look at which something remembered might be on either side of a window's edge, whatever was
decided then.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from scaler.core.types import Instant, Seconds
from scaler.live.clock import SystemClock
from scaler.sim.hpa import Behavior
from tests.cluster.harness.api import Api
from tests.cluster.recorder.meter import Meter, Said
from tests.cluster.recorder.stand import Stand
from tests.support.recorded.hpa import Story, Sync
from tests.support.wait import eventually

PERIOD: Seconds = 1.0  # from the end of a look to the next one, at least
CLEAR: Seconds = 0.25  # so far from edges a look is answered
AT_ONCE = 8  # stories; the controller has twenty workers, and each waits at the metric
ASLEEP: Seconds = 2.5  # more than two looks, in which an HPA that leaves an empty workload alone did so
PATIENCE: Seconds = 60.0  # the controller learns of a new kind within half a minute


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """What the controller shall find.

    Attributes:
        said: as in ``Sync``.
        spec: what somebody else writes before; None if nobody does.
        surge: replicas of the status beyond those of the spec.
    """

    said: tuple[int | tuple[int | None, ...] | None, ...]
    spec: int | None = None
    surge: int = 0


@dataclass(frozen=True, slots=True)
class Script:
    """A story to be played: without syncs, but with what leads to them.

    Attributes:
        spec: replicas in the beginning.
    """

    story: Story
    spec: int
    beats: tuple[Beat, ...]


@dataclass
class Play:
    """One script in play."""

    script: Script
    stand: Stand
    syncs: list[Sync] = field(default_factory=list)
    done: asyncio.Event = field(default_factory=asyncio.Event)
    _pods: list[str] = field(default_factory=list)
    _clock: SystemClock = field(default_factory=SystemClock)
    _said: Sequence[int | tuple[int | None, ...] | None] = ()
    _at: int = 0  # the beat that comes next
    _ready: bool = True  # it is set up
    _untold: bool = False  # the next look shows what the last one has led to
    _elsewhere: asyncio.Task[None] | None = None  # somebody has written replicas out of bounds

    async def run(self, meter: Meter) -> Story:
        """Play it, and return the story with what was observed."""
        story, first = self.script.story, self.script.beats[0]
        await self.stand.create(self.script.spec)
        await self.stand.say_there_are(self.script.spec + first.surge)
        self._pods = await self.stand.pods(story.pods)
        for number in range(len(story.metrics)):
            meter.answers[f"{self.stand.namespace}-{number}"] = functools.partial(self._asked, number)
        await self.stand.scale_by(story)
        async with asyncio.timeout(PATIENCE + 10.0 * len(self.script.beats)):
            await self.done.wait()
        await self.stand.leave()
        return certain(replace(story, syncs=self._dated()))

    def _dated(self) -> tuple[Sync, ...]:
        """The syncs, dated from the first one on."""
        return tuple(replace(sync, at=round(sync.at - self.syncs[0].at, 3)) for sync in self.syncs)

    async def _asked(self, number: int) -> Said:
        """The controller asks for a metric, and in each look for the first one first."""
        if number == 0:
            await self._look()
        said = self._said[number]
        return dict(zip(self._pods, said, strict=True)) if isinstance(said, tuple) else said

    async def _look(self) -> None:
        """The controller is in the middle of a look: note what it sees, and what the one before has led to."""
        if self._elsewhere is not None:
            await self._elsewhere
        spec, status = await self.stand.replicas()
        if self._untold:
            self.syncs[-1] = replace(self.syncs[-1], after=spec)
        if self._ready and self._at < len(self.script.beats):
            await self._clock.sleep_until(self._clear_of_edges(self._clock.now()))
            self._say(self.script.beats[self._at].said, spec, status)
            self._at, self._ready = self._at + 1, False
            return
        self._say([None] * len(self.script.story.metrics), spec, status)
        if self._at == len(self.script.beats):
            self.done.set()
        else:
            await self._set_up(self.script.beats[self._at], spec)

    def _say(self, said: Sequence[int | tuple[int | None, ...] | None], spec: int, status: int) -> None:
        self._said = said
        self._untold = True
        self.syncs.append(Sync(at=self._clock.now(), spec=spec, status=status, said=tuple(said), after=spec))

    def _clear_of_edges(self, now: Instant) -> Instant:
        """From now on the first instant at which nothing that the controller remembers can be at an edge."""
        for begin, end in sorted(spans(self.script.story.hpa.behavior, self.syncs)):
            if begin - CLEAR < now < end + CLEAR:
                now = end + CLEAR
        return now

    async def _set_up(self, beat: Beat, spec: int) -> None:
        """Let the controller find this at its next look, or, where that is out of bounds, at the one after it."""
        hpa = self.script.story.hpa
        if beat.spec is not None and self._elsewhere is None:
            self._untold = False
            self.syncs.pop()  # what it does in this look can no longer be told from what is written now
            await self.stand.ask_for(beat.spec)
            spec = beat.spec
            if not hpa.low <= spec <= hpa.high:
                self._elsewhere = asyncio.create_task(self._follow_elsewhere(spec))
                return
        self._elsewhere = None
        await self.stand.say_there_are(spec + beat.surge)
        self._ready = True

    async def _follow_elsewhere(self, spec: int) -> None:
        """Out of bounds the controller acts before it asks for metrics; an empty workload it leaves alone."""
        if spec == 0:
            await self._clock.sleep_until(self._clock.now() + ASLEEP)
            after, status = await self.stand.replicas()
            await self.stand.ask_for(self.script.story.hpa.low)
        else:
            after, status = await eventually(functools.partial(self._moved_from, spec))
        self.syncs.append(Sync(at=self._clock.now(), spec=spec, status=status, after=after))

    async def _moved_from(self, spec: int) -> tuple[int, int] | None:
        """The HPA has written another number."""
        found = await self.stand.replicas()
        return None if found[0] == spec else found


def certain(story: Story) -> Story:
    """The story up to the first look at which something remembered might have been at the edge of a window."""
    for number, sync in enumerate(story.syncs):
        before = spans(story.hpa.behavior, story.syncs[: number + 1])
        if _counts(sync) and any(begin - CLEAR < sync.at < end + CLEAR for begin, end in before):
            return replace(story, syncs=story.syncs[:number])
    return story


def spans(behavior: Behavior | None, syncs: Sequence[Sync]) -> Iterator[tuple[Instant, Instant]]:
    """When what was seen before the last of these syncs turns too old for a window, or for a policy: some time in here.

    A recommendation is of the moment at which the metric was answered; a change, of some moment before the next look.
    """
    if behavior is None:
        return
    both = (behavior.up, behavior.down)
    windows = {rules.window for rules in both} - {0.0}
    periods = {policy.period for rules in both for policy in rules.policies}
    for sync, after in itertools.pairwise(syncs):
        if _counts(sync):
            yield from ((sync.at + window, sync.at + window) for window in windows)
        if sync.spec != sync.after:
            written = max(sync.at, after.at - PERIOD)
            yield from ((sync.at + period, written + period) for period in periods)


def _counts(sync: Sync) -> bool:
    """Whether it may have changed what the controller remembers."""
    return {*sync.said} != {None}


async def record(api: Api, meter: Meter, scripts: Sequence[Script]) -> list[Story]:
    """Play all of them, many at a time. The value is in their order."""
    room = asyncio.Semaphore(AT_ONCE)

    async def played(number: int, script: Script) -> Story:
        async with room:
            return await Play(script, Stand(api, f"stand-{number}")).run(meter)

    return list(await asyncio.gather(*(played(number, script) for number, script in enumerate(scripts))))
