"""Who leads, by a Lease: the decision alone, of what was read, what was written, and lengths of time.

Why no two lead at one instant. Let V be the last write of the leader that the API server confirmed to it.

1. The leader leads for ``holds`` seconds from the instant at which it *sent* V, and not a moment longer, whatever it
   is doing then: frozen, cut off, waiting for an answer.
2. Another takes over only what nobody has written for ``lasts`` seconds since it *read* V, which was after V was sent.
3. It takes over by a write that fails unless V is still the last one. A renewal that the leader counts therefore comes
   either before what the other read or after the other's attempt has failed.
4. So two could lead at once only if ``holds`` took longer on one clock than ``lasts`` on the other. ``Timing`` leaves a
   fifth: each clock may run a fifth too fast or too slow. What time it is, by any clock, plays no part.

A Lease that was given back is free at once: its holder had ceased to lead before. One that is missing may have been
deleted under somebody who leads; so it is first written anew without a holder, and one that nobody has held yet is left
alone for as long as one that is held.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

from scaler.core.types import Seconds

DRIFT: Final = 0.2  # by how much of its rate a clock may be wrong, in either direction
NEVER: Final[Seconds] = -math.inf


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Lengths of time, in seconds.

    Attributes:
        lasts: how long others leave a lease alone that is not renewed.
        holds: how long the leader leads by one renewal.
        renew: from one renewal to the next.
        look: from one look of somebody who waits to the next.
        patience: how long one call to the API server may take.
    """

    lasts: Seconds = 15.0
    holds: Seconds = 10.0
    renew: Seconds = 2.0
    look: Seconds = 0.5
    patience: Seconds = 3.0

    def __post_init__(self) -> None:
        """Refuse lengths by which two could lead at once.

        Raises:
            ValueError: ``holds`` is too near to ``lasts``.
        """
        longest = self.lasts * (1 - DRIFT) / (1 + DRIFT)
        if not 0 < self.holds <= longest + 1e-9:
            raise ValueError(f"holds = {self.holds:g}: must be above 0 and at most {longest:g}, two thirds of lasts")


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """The Lease as the API server has it.

    Attributes:
        version: another one after each write.
        holder: who leads, empty where nobody does.
        epoch: counts the terms; a later one has a higher epoch, and before the first it is 0.
        lasts: seconds for which its holder counts on being left alone.
    """

    version: str
    holder: str
    epoch: int
    lasts: Seconds


@dataclass(frozen=True, slots=True)
class Sight:
    """A record, None where there is no Lease, and since when it is known to be so."""

    record: Record | None
    since: Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A write, to be made only if ``over`` is still what stands; None is for where there was no Lease."""

    over: Record | None
    holder: str
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """Somebody who may lead. Every instant is by a clock of its own that never steps.

    Attributes:
        name: no other process, before or after, has the same.
        sight: what it read last, or wrote; None before that.
        sure: False while it does not know what stands, as after a write that was refused or not answered.
        until: it leads before this instant.
        epoch: of its last term, 0 before the first.
        highest: epoch that it has seen, its own or another's.
    """

    name: str
    timing: Timing = Timing()
    sight: Sight | None = None
    sure: bool = False
    until: Seconds = NEVER
    epoch: int = 0
    highest: int = 0

    def leads(self, now: Seconds) -> bool:
        """Whether it leads at this instant."""
        return now < self.until

    def read(self, record: Record | None, now: Seconds) -> Candidate:
        """After a look that found this; ``now`` is after the answer."""
        sight = self.sight
        if sight is None or sight.record != record:
            sight = Sight(record, now)
        if record is None:
            return replace(self, sight=sight, sure=True)
        until = self.until if record.holder == self.name else NEVER
        return replace(self, sight=sight, sure=True, until=until, highest=max(self.highest, record.epoch))

    def wish(self, now: Seconds) -> Wish | None:
        """What it wants to write now: its renewal, that it takes over, or a Lease where there is none.

        None to wait, or to look first.
        """
        if self.sight is None or not self.sure:
            return None
        over = self.sight.record
        if self.leads(now):
            return Wish(over=over, holder=self.name, epoch=self.epoch)
        if over is None:
            return Wish(over=None, holder="", epoch=0)
        if not self._is_free(over, now - self.sight.since):
            return None
        return Wish(over=over, holder=self.name, epoch=max(self.highest, over.epoch) + 1)

    def wrote(self, wish: Wish, record: Record, *, sent: Seconds, now: Seconds) -> Candidate:
        """After a write that was confirmed; ``sent`` is before it was sent.

        A renewal that is confirmed when the term is over does not revive it, and one that changed nothing is none, for
        others cannot see it.
        """
        seen = replace(self, sight=Sight(record, now), sure=True)
        changed = wish.over is None or wish.over.version != record.version
        revived = wish.epoch == self.epoch and not self.leads(now)
        if revived or not changed or wish.holder != self.name:
            return seen
        return replace(seen, until=sent + self.timing.holds, epoch=wish.epoch, highest=max(self.highest, wish.epoch))

    def doubt(self) -> Candidate:
        """After a write that was refused, or whose fate is unknown: it must look before it writes again."""
        return replace(self, sure=False)

    def resigned(self) -> Candidate:
        """It leads no more."""
        return replace(self, until=NEVER)

    def release(self) -> Wish | None:
        """What gives the lease back; None where there is nothing to give."""
        over = None if self.sight is None else self.sight.record
        if over is None or over.holder != self.name or not self.sure:
            return None
        return Wish(over=over, holder="", epoch=over.epoch)

    def _is_free(self, record: Record, stood: Seconds) -> bool:
        """Whether it may take over what has stood so for that long, as far as it has seen."""
        if record.holder == self.name or (not record.holder and record.epoch):
            return True
        return stood >= max(record.lasts, self.timing.lasts)
