"""The log: one line for each decision that changes something, on stderr, in one format whoever wrote it."""

from __future__ import annotations

import logging
import sys

import structlog

from scaler.config.pool import PoolKey
from scaler.core.explain import labels, sentence
from scaler.core.types import Outcome, Unknown
from scaler.live.board import Board, Posted


def set_up(*, verbose: bool) -> None:
    """Send every log line to stderr: as JSON, or in colour where that is a terminal."""
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    terminal = sys.stderr.isatty()
    renderer = structlog.dev.ConsoleRenderer() if terminal else structlog.processors.JSONRenderer()
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("scaler").setLevel(logging.DEBUG if verbose else logging.INFO)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )


class LoggedBoard(Board):
    """A board that logs what is put on it: what changed as information, what did not for those who want all."""

    def __init__(self) -> None:
        super().__init__()
        self._log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger("scaler.decisions")

    def publish(self, key: PoolKey, outcome: Outcome) -> None:
        """Put the outcome in the place of the one before it, and log it."""
        before = self.get(key)
        super().publish(key, outcome)
        log = self._log.info if _changed(before, outcome) else self._log.debug
        target, report = outcome.decision.replicas, outcome.report
        log(
            sentence(outcome),
            pool=str(key),
            target=None if isinstance(target, Unknown) else target,
            report=None if isinstance(report, Unknown) else report,
            **labels(outcome),
        )


def _changed(before: Posted | None, outcome: Outcome) -> bool:
    """Whether the outcome says something that the one before it did not: another target, report or reason."""
    if before is None:
        return True
    was = before.outcome
    kept = was.decision.replicas == outcome.decision.replicas and was.report == outcome.report
    return not (kept and labels(was)["reason"] == labels(outcome)["reason"])
