"""The journal: what every pool saw and what was decided, as lines of JSON from which ``replay`` decides again.

A file is a chain of sealed lines (see ``lines``). It begins with ``{"v": 1, "start": instant}``, and so does what each
later process appends; with ``"gap": true`` where lines before it could not be written. Then there is a line for each
tick, of a pool by its number ``n``:

- its first one since the start has the pool's name, ``pool``, the instant ``t``, the ``policy``, the ``memory`` that
  the tick was given (base64 of deflated JSON), and everything that was observed;
- each later one has ``t`` as seconds since the last, what has changed of the observation (``r``, ``s``, ``p`` and
  ``a``, see ``delta``), and the policy where it is another.

Both say what came out: ``out`` in full where it changed, or ``d``, its digest (see ``verdict``). So each file can be
replayed by itself. Where ticks of a pool are missing, because the disk could not keep up, its next line is a first one
again and says how many were ``lost``. A first line with ``"on": true`` goes on where the file before it ended.

Nothing here waits for a disk: ``note`` encodes into a bounded queue, and a thread empties that.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import logging
import threading
import zlib
from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from scaler.config.pool import PoolKey
from scaler.core.delta import NOTHING, change, span
from scaler.core.memory import Memory
from scaler.core.policy import Policy
from scaler.core.record import Json, to_json
from scaler.core.types import Instant, Observation, Seconds
from scaler.live.clock import Clock
from scaler.live.lines import FIRST, seal
from scaler.live.segments import Segments
from scaler.live.ticker import Moment
from scaler.live.verdict import digest, shape, verdict
from scaler.live.writes import Writes

LOG = logging.getLogger(__name__)
VERSION: Final = 1
FLUSH: Final[Seconds] = 0.5
RETRY: Final[Seconds] = 5.0  # after a failed write
MIB: Final = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the journal may take.

    Attributes:
        segment: bytes of a file after which the next is begun.
        age: seconds that a file is written to, at most.
        kept: files.
        queue: bytes that wait to be written.
    """

    segment: int = 64 * MIB
    age: Seconds = 6 * 3600.0
    kept: int = 16
    queue: int = 32 * MIB


@dataclass(frozen=True, slots=True)
class _Written:
    """A pool's last tick: what the next line leans on. That tick must be given ``memory`` for it to be the next."""

    at: Instant
    policy: Policy
    memory: Memory
    observation: Observation
    shape: Hashable


@dataclass(slots=True)
class _Track:
    """A pool in the journal.

    Attributes:
        last: its last line, None where the next must be a first one.
        before: the memory that its last line in the file before this one left.
        lost: ticks left out since.
    """

    number: int
    last: _Written | None = None
    before: Memory | None = None
    lost: int = 0


@dataclass(frozen=True, slots=True)
class _Begin:
    """What follows in the queue belongs to this session, at the end of the file or in a new one."""

    session: int
    anew: bool


_Item: TypeAlias = bytes | _Begin


class Journal:
    """Writes down every tick. ``note`` belongs to one event loop.

    Attributes:
        writes: counts those to the disk.
        lost: ticks that were left out.
    """

    def __init__(self, folder: Path, limits: Limits | None = None) -> None:
        self.writes = Writes("journal")
        self.lost = 0
        self._limits = limits or Limits()
        self._segments = Segments(folder, self._limits.kept)
        self._size = self._segments.size
        self._tracks: dict[PoolKey, _Track] = {}
        self._numbers = itertools.count()
        self._session, self._began, self._chain = 0, 0.0, FIRST
        self._queue: deque[_Item] = deque()
        self._latest: Instant = 0.0
        self._queued = 0  # bytes that entered the queue
        self._written = 0  # bytes that left it; only the writer adds to it
        self._writing = 0  # the session that the writer is at
        self._broken = 0  # the last one that it gave up
        self._busy = threading.Lock()

    def note(self, key: PoolKey, moment: Moment) -> None:
        """Write a tick down, or note that it is missing."""
        if not self._is_open(moment.outcome.at) or self._queued - self._written > self._limits.queue:
            self._lose(key)
            return
        track = self._track(key)
        try:
            self._put(_line(key, track, moment))
        except (TypeError, ValueError, OverflowError):
            LOG.exception("a tick cannot be written down", extra={"pool": str(key)})
            self._lose(key)
            return
        self._latest = moment.outcome.at
        track.last, track.lost = _written(moment), 0

    def forget(self, key: PoolKey) -> None:
        """Let go of a pool that is no longer evaluated."""
        self._tracks.pop(key, None)

    async def follow(self, clock: Clock) -> None:
        """Bring to the disk what is noted, twice a second."""
        while True:
            await clock.sleep_until(clock.now() + FLUSH)
            await asyncio.to_thread(self.flush)

    def flush(self) -> None:
        """Bring all that is noted to the disk. From any thread."""
        with self._busy:
            batch: list[bytes] = []
            while self._queue:
                item = self._queue.popleft()
                if isinstance(item, bytes):
                    batch.append(item)
                else:
                    self._write(batch)
                    batch = []
                    self._begin(item)
            self._write(batch)

    def close(self) -> None:
        """Bring the rest to the disk, say what is missing, and finish the file."""
        for key, track in self._tracks.items():
            if track.lost and self._session != self._broken:
                self._put({"n": track.number, "pool": str(key), "lost": track.lost})
        self.flush()
        try:
            self._segments.close()
        except OSError as error:
            LOG.warning("the journal could not be finished", extra={"why": str(error)})

    def _is_open(self, at: Instant) -> bool:
        """Whether lines are accepted, after beginning a session where it is time for one."""
        if self._session == self._broken:
            if self._session and abs(at - self._began) < RETRY:
                return False
            full = self._session == 0 and self._size >= self._limits.segment
            self._start(at, anew=full, gap=self._session > 0)
        elif self._size >= self._limits.segment or abs(at - self._began) >= self._limits.age:
            self._start(at, anew=True, gap=False)
        return True

    def _start(self, at: Instant, *, anew: bool, gap: bool) -> None:
        self._session += 1
        self._began, self._chain = at, FIRST
        self._size = 0 if anew else self._size
        self._numbers = itertools.count()
        self._tracks = {key: self._renewed(track, gap=gap) for key, track in self._tracks.items()}
        self._queue.append(_Begin(self._session, anew))
        self._put({"v": VERSION, "start": to_json(at)} | ({"gap": True} if gap else {}))

    def _renewed(self, track: _Track, *, gap: bool) -> _Track:
        before = None if gap or track.last is None else track.last.memory
        return _Track(next(self._numbers), before=before, lost=track.lost)

    def _track(self, key: PoolKey) -> _Track:
        track = self._tracks.get(key)
        if track is None:
            track = self._tracks[key] = _Track(next(self._numbers))
        return track

    def _lose(self, key: PoolKey) -> None:
        self._track(key).lost += 1
        self.lost += 1

    def _put(self, value: Json) -> None:
        line, self._chain = seal(value, self._chain)
        self._queue.append(line)
        self._size += len(line)
        self._queued += len(line)

    def _begin(self, item: _Begin) -> None:
        try:
            self._segments.begin(anew=item.anew)
        except OSError as error:
            self._give_up(item.session, error)
        else:
            self._writing = item.session

    def _write(self, batch: list[bytes]) -> None:
        """Write lines of one session; nothing where it was given up, for what follows a missing line is of no use."""
        if not batch:
            return
        lines = b"".join(batch)
        self._written += len(lines)
        if self._writing == self._broken:
            return
        try:
            self._segments.write(lines)
        except OSError as error:
            self._give_up(self._writing, error)
        else:
            self.writes.worked(len(lines), self._latest)

    def _give_up(self, session: int, error: OSError) -> None:
        self._writing = self._broken = session
        self.writes.failed()
        told = "the journal cannot be written, and is tried again"
        LOG.warning(told, extra={"seconds": RETRY, "why": str(error)})


def _written(moment: Moment) -> _Written:
    outcome = moment.outcome
    return _Written(outcome.at, moment.policy, outcome.memory, moment.observation, shape(outcome))


def _line(key: PoolKey, track: _Track, moment: Moment) -> Json:
    """The line of a tick, for who has read the one before it, if any."""
    last = track.last
    if last is None or last.memory is not moment.memory:
        whole = {"on": True} if last is None and track.before is moment.memory and not track.lost else {}
        return (
            {"n": track.number, "pool": str(key)}
            | whole
            | ({"lost": track.lost} if track.lost else {})
            | _first(moment)
        )
    return {"n": track.number} | _later(last, moment)


def _first(moment: Moment) -> Json:
    at = moment.outcome.at
    given = {"t": to_json(at), "policy": to_json(moment.policy), "memory": _packed(moment.memory)}
    return given | change(NOTHING, moment.observation, at) | {"out": verdict(moment.outcome)}


def _later(last: _Written, moment: Moment) -> Json:
    outcome, found = moment.outcome, verdict(moment.outcome)
    kept = moment.policy is last.policy or moment.policy == last.policy
    given = {"t": span(outcome.at, last.at)} | ({} if kept else {"policy": to_json(moment.policy)})
    out = {"d": digest(found)} if shape(outcome) == last.shape else {"out": found}
    return given | change(last.observation, moment.observation, outcome.at) | out


def _packed(memory: Memory) -> str:
    text = json.dumps(to_json(memory), separators=(",", ":"), allow_nan=False)
    return base64.b64encode(zlib.compress(text.encode(), 1)).decode()
