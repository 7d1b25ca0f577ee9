"""What another policy would have decided on the same observations, beside what was decided."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from scaler.cli.output import Json
from scaler.core.explain import reason
from scaler.core.memory import Memory
from scaler.core.policy import Policy
from scaler.core.tick import tick
from scaler.core.types import Hold, Instant, Outcome, Seconds, Unknown, Verb
from scaler.core.wording import counted
from scaler.live.reading import Entry

LONGEST_STEP: Final[Seconds] = 60.0  # between two ticks that count as one after the other
CAVEAT: Final = (
    "The pods are those that there were: what another target would have changed about them, nobody has seen."
)


@dataclass(slots=True)
class Side:
    """What one policy reported, tick by tick, in figures.

    Attributes:
        ups, downs: ticks that raised or lowered the report.
        pod_hours: what was reported, over the time that it stood.
        marks: orders to let a pod drain; the same pod may be marked in several ticks.
    """

    report: int | None = None
    least: int | None = None
    most: int | None = None
    ups: int = 0
    downs: int = 0
    holds: int = 0
    marks: int = 0
    pod_hours: float = 0.0

    def add(self, outcome: Outcome, lasting: Seconds) -> None:
        """Count one more tick; the report before it stood for so long."""
        self.pod_hours += (self.report or 0) * lasting / 3600
        self.holds += isinstance(outcome.decision, Hold)
        self.marks += sum(order.verb is Verb.MARK for order in outcome.orders)
        if isinstance(outcome.report, Unknown):
            return
        if self.report is not None:
            self.ups += outcome.report > self.report
            self.downs += outcome.report < self.report
        self.report = outcome.report
        self.least = outcome.report if self.least is None else min(self.least, outcome.report)
        self.most = outcome.report if self.most is None else max(self.most, outcome.report)

    def figures(self) -> dict[str, int | float | None]:
        """The figures, by what they are called."""
        return {
            "least": self.least,
            "most": self.most,
            "ups": self.ups,
            "downs": self.downs,
            "holds": self.holds,
            "marks": self.marks,
            "pod_hours": round(self.pod_hours, 3),
        }


@dataclass(frozen=True, slots=True)
class Change:
    """A tick at which either report moved, each with its reason."""

    at: Instant
    recorded: int | str
    recorded_reason: str
    asked: int | str
    asked_reason: str

    def told(self) -> str:
        """For people."""
        at = datetime.fromtimestamp(self.at, UTC).strftime("%Y-%m-%d %H:%M:%S")
        recorded = f"{self.recorded} ({self.recorded_reason})"
        return f"{at}  {recorded:<28} {self.asked} ({self.asked_reason})"


@dataclass(slots=True)
class Comparison:
    """Two policies on the observations of one pool, each with a memory of its own."""

    policy: Policy
    recorded: Side = field(default_factory=Side)
    asked: Side = field(default_factory=Side)
    changes: list[Change] = field(default_factory=list)
    ticks: int = 0
    _memory: Memory | None = None
    _at: Instant | None = None

    def add(self, entry: Entry, recorded: Outcome) -> None:
        """Decide with the other policy too. Where a process began, both begin with the memory that it had."""
        memory = entry.memory if self._memory is None or entry.resumes else self._memory
        assert memory is not None, "a pool's first entry has its memory"  # noqa: S101 - Replay has refused it else
        asked = tick(self.policy, memory, entry.observation, entry.at)
        step = 0.0 if self._at is None else entry.at - self._at
        lasting = step if 0 <= step <= LONGEST_STEP else 0.0
        self._memory, self._at = asked.memory, entry.at
        self.ticks += 1
        self.recorded.add(recorded, lasting)
        self.asked.add(asked, lasting)
        self._note(recorded, asked)

    def lines(self) -> Iterator[str]:
        """For people: each change, then the figures side by side."""
        yield f"{'':<21}{'recorded':<28} with the policy"
        yield from (change.told() for change in self.changes)
        yield f"{counted(self.ticks, 'tick')}, {counted(len(self.changes), 'change')}"
        asked = self.asked.figures()
        yield from (f"  {name:<12}{was!s:>12}{asked[name]!s:>12}" for name, was in self.recorded.figures().items())
        yield CAVEAT

    def as_json(self) -> Json:
        """For programs."""
        changes: list[Json] = [
            {
                "at": c.at,
                "recorded": {"report": c.recorded, "reason": c.recorded_reason},
                "policy": {"report": c.asked, "reason": c.asked_reason},
            }
            for c in self.changes
        ]
        recorded, asked = self.recorded.figures(), self.asked.figures()
        return {
            "ticks": self.ticks,
            "recorded": recorded,
            "policy": asked,
            "changes": changes,
            "caveat": CAVEAT,
        }

    def _note(self, recorded: Outcome, asked: Outcome) -> None:
        now = (_report(recorded), _report(asked))
        last = self.changes[-1] if self.changes else None
        if last is None or now != (last.recorded, last.asked):
            self.changes.append(Change(recorded.at, now[0], str(reason(recorded)), now[1], str(reason(asked))))


def _report(outcome: Outcome) -> int | str:
    return "unknown" if isinstance(outcome.report, Unknown) else outcome.report
