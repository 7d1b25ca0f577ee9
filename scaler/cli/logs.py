"""The log: one line for each decision that changes something, on stderr, in one format whoever wrote it.

What an event is called is a constant, and what is particular to it is in its keys; ``docs/operations.md`` lists both.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Self

import structlog

from scaler.cli.forms import LogFormat, LogLevel
from scaler.cli.sparing import Sparing
from scaler.config.pool import JobStrategy, PoolKey
from scaler.core.explain import labels, sentence
from scaler.core.types import Hold, Outcome, Unknown
from scaler.live import telling
from scaler.live.board import Board
from scaler.live.history import History
from scaler.live.office import ALONE, Office

DECISIONS: Final = "scaler.decisions"  # the logger of decisions
MOVED: Final = "the target moved"

_SECRET: Final = re.compile(r"(?i)(\b[a-z][a-z0-9+.-]*://)[^/\s@]+(?=@)|(\bbearer\s+)[\w.~+/=-]+")
_KEYS: Final = re.compile(r"(?i)token|password|secret|authorization")


def set_up(form: LogFormat, level: LogLevel) -> Sparing:
    """Send every log line to stderr: as JSON, or in colour where that is a terminal. Returns what is left out."""
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        without_secrets,
    ]
    console = form is LogFormat.CONSOLE or (form is LogFormat.AUTO and sys.stderr.isatty())
    renderer = structlog.dev.ConsoleRenderer() if console else structlog.processors.JSONRenderer()
    handler, sparing = logging.StreamHandler(sys.stderr), Sparing(MOVED)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    handler.addFilter(sparing)
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("scaler").setLevel(level.upper())
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    return sparing


def without_secrets(_: object, __: str, line: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """The line without users and passwords in addresses, bearer tokens, and what is called a secret."""
    for key, value in line.items():
        if _KEYS.search(key):
            line[key] = "***"
        elif isinstance(value, str):
            line[key] = _SECRET.sub(r"\1\2***", value)
    return line


class LoggedBoard(Board):
    """A board that counts and logs what is put on it: moves and new reasons to everybody, the rest to who wants all.

    A replica that stands by decides nothing, so of it there is nothing to tell.
    """

    def __init__(
        self, office: Office = ALONE, strategy: Callable[[PoolKey], JobStrategy | None] = lambda _: None
    ) -> None:
        super().__init__()
        self._strategy = strategy  # how KEDA counts the Jobs of a pool, which decides what it is told
        self._office = office
        self.history = History()
        self._log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(DECISIONS)

    def publish(self, key: PoolKey, outcome: Outcome) -> None:
        """Put the outcome in the place of the one before it, count it and log it."""
        before = self.get(key)
        super().publish(key, outcome)
        if self._office.term is None:
            return
        self.history.note(key, outcome)
        strategy = self._strategy(key)
        was, now = None if before is None else _Told.of(before.outcome, strategy), _Told.of(outcome, strategy)
        if _moved(was, now):
            self._line(key, now).info(MOVED)
        elif was is None or was.standing != now.standing:
            self._line(key, now).info("the target stands for another reason")
        elif logging.getLogger(DECISIONS).isEnabledFor(logging.DEBUG):
            self._line(key, now).debug("the target stands")

    def forget(self, key: PoolKey) -> None:
        """Take a pool off that is no longer evaluated."""
        super().forget(key)
        self.history.forget(key)

    def _line(self, key: PoolKey, now: _Told) -> structlog.stdlib.BoundLogger:
        """A logger with the outcome's keys."""
        outcome = now.outcome
        decision, evidence, told = outcome.decision, outcome.evidence, labels(outcome)
        return self._log.bind(
            pool=str(key),
            before=outcome.trail[0].before,
            after=_plain(decision.replicas),
            report=_plain(now.report),
            decision=told["decision"],
            reason=told["reason"],
            note=decision.why if isinstance(decision, Hold) else outcome.trail[-1].note,
            bound=told["bound"],
            demand=round(evidence.demand.now, 3),
            needed=evidence.demand.need_up,
            supply=evidence.supply.wanted,
            draining=evidence.supply.draining,
            sentence=sentence(outcome),
        )


@dataclass(frozen=True, slots=True)
class _Told:
    """An outcome, and what KEDA is told of it."""

    outcome: Outcome
    report: int | Unknown

    @classmethod
    def of(cls, outcome: Outcome, strategy: JobStrategy | None) -> Self:
        """What it is told where it counts Jobs so, or replicas."""
        return cls(outcome, telling.value(outcome, strategy))

    @property
    def standing(self) -> tuple[str, str, bool]:
        """Why the target stands: the kind of decision, its reason, and whether KEDA is told a number."""
        told = labels(self.outcome)
        return told["decision"], told["reason"], isinstance(self.report, Unknown)


def _moved(before: _Told | None, now: _Told) -> bool:
    """Whether the target or what KEDA is told is another number than before.

    Where no target is known of before, as at most starts, it is the replicas that were there.
    """
    target, was = now.outcome.decision.replicas, None if before is None else before.outcome.decision.replicas
    stood = now.outcome.trail[0].before if was is None or isinstance(was, Unknown) else was
    pairs = [(stood, target)] if before is None else [(stood, target), (before.report, now.report)]
    return any(a != b for a, b in pairs if not isinstance(a, Unknown) and not isinstance(b, Unknown))


def _plain(value: int | Unknown) -> int | None:
    return None if isinstance(value, Unknown) else value
