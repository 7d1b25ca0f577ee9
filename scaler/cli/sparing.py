"""A log that a storm does not flood: of each kind of line a few at once, then two a second; the rest is counted."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass
from typing import Final

from scaler.core.types import Instant

AT_ONCE: Final = 50  # lines of a kind; a pool or two in trouble are told one by one
A_SECOND: Final = 2.0  # lines of a kind after that, for as long as it lasts
KINDS: Final = 1_000  # told apart; libraries may make up messages without end
REST: Final = "other"


@dataclass(slots=True)
class _Bucket:
    """Lines of one kind that may be written still."""

    left: float
    at: Instant

    def take(self, now: Instant) -> bool:
        """Take one, if there is one."""
        self.left = min(AT_ONCE, self.left + max(0.0, now - self.at) * A_SECOND)
        self.at = now
        if self.left < 1:
            return False
        self.left -= 1
        return True


class Sparing(logging.Filter):
    """Lets lines through, or leaves them out and counts them.

    Lines of a kind share their event, and their reason where they have one. Those named ``always``, and those for who
    wants to read all, are never left out.

    Attributes:
        total: lines that were left out.
    """

    def __init__(self, *always: str) -> None:
        super().__init__()
        self.total = 0
        self._always = frozenset(always)
        self._buckets: dict[str, _Bucket] = {}
        self._left_out: Counter[str] = Counter()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is written."""
        event, kind = _kind(record)
        if record.levelno <= logging.DEBUG or event in self._always:
            return True
        if kind not in self._buckets and len(self._buckets) >= KINDS:
            kind = REST
        if self._buckets.setdefault(kind, _Bucket(AT_ONCE, record.created)).take(record.created):
            return True
        self.total += 1
        self._left_out[kind] += 1
        return False

    def left_out(self) -> dict[str, int]:
        """Lines left out since this was last asked, by kind."""
        told = dict(self._left_out)
        self._left_out.clear()
        return told


def _kind(record: logging.LogRecord) -> tuple[str, str]:
    """The event of a record, and the event with its reason."""
    told: object = record.msg  # structlog hands its keys over as a dictionary
    if not isinstance(told, dict):
        return str(told), str(told)
    event = str(told.get("event"))
    return event, f"{event}: {told['reason']}" if "reason" in told else event
