"""A log under a storm: each kind of line has its share, and what is left out is counted and told."""

from __future__ import annotations

import logging

from structlog.testing import capture_logs

from scaler.cli.sparing import A_SECOND, AT_ONCE, KINDS, Sparing
from scaler.cli.watcher import Watcher

NOON = 1_795_262_400.0  # 2026-11-21 12:00:00 UTC
POOLS = 10_000
HOLD = "the target stands for another reason"


def line(event: str, *, at: float = NOON, level: int = logging.INFO, reason: str | None = None) -> logging.LogRecord:
    """A line as structlog hands it over."""
    told = {"event": event} if reason is None else {"event": event, "reason": reason}
    return logging.makeLogRecord({"msg": told, "levelno": level, "created": at})


def written(sparing: Sparing, event: str, count: int, *, seconds: float = 0.0, reason: str | None = None) -> int:
    """How many of so many lines of one kind, spread over some time, are written."""
    return sum(sparing.filter(line(event, at=NOON + seconds * i / count, reason=reason)) for i in range(count))


def test_a_few_pools_are_told_one_by_one() -> None:
    """Nothing is left out while there is little to tell."""
    assert written(Sparing(), HOLD, AT_ONCE, reason="no_signal") == AT_ONCE


def test_ten_thousand_pools_without_prometheus_are_a_few_lines() -> None:
    """They lose their signals within five seconds; the log has some of them, and the number of the rest."""
    sparing = Sparing()
    told = written(sparing, HOLD, POOLS, seconds=5.0, reason="no_signal")
    assert told <= AT_ONCE + 5 * A_SECOND
    assert sparing.total == POOLS - told
    with capture_logs() as log:
        watcher = Watcher(tuple, sparing)
        watcher.look(NOON + 5)
        watcher.look(NOON + 10)
    (left_out,) = log
    assert (left_out["event"], left_out["kind"]) == ("lines were left out", f"{HOLD}: no_signal")
    assert left_out["count"] == POOLS - told


def test_a_storm_of_one_kind_drowns_no_other() -> None:
    """Another reason, and another event, have shares of their own."""
    sparing = Sparing()
    written(sparing, HOLD, POOLS, reason="no_signal")
    assert written(sparing, HOLD, 10, reason="flap_budget") == 10
    assert written(sparing, "a source fails", 10) == 10


def test_a_share_comes_back_with_time() -> None:
    """Two lines a second, up to as many as at the start; and a clock that is set back takes none away."""
    sparing = Sparing()
    written(sparing, HOLD, POOLS)
    assert not sparing.filter(line(HOLD, at=NOON - 3600))
    assert sparing.filter(line(HOLD, at=NOON + 1))
    assert [sparing.filter(line(HOLD, at=NOON + 86_400)) for _ in range(AT_ONCE + 1)] == [True] * AT_ONCE + [False]


def test_what_must_be_told_is_told() -> None:
    """Moves of targets are never left out, and neither is anything for who wants to read all."""
    sparing = Sparing("the target moved")
    assert written(sparing, "the target moved", POOLS, reason="demand") == POOLS
    assert all(sparing.filter(line("the target stands", level=logging.DEBUG)) for _ in range(POOLS))


def test_kinds_without_end_share_what_is_left() -> None:
    """A library that writes its figures into its messages fills no memory and no log."""
    sparing = Sparing()
    told = sum(
        sparing.filter(logging.makeLogRecord({"msg": f"odd {i}", "levelno": 30, "created": NOON})) for i in range(POOLS)
    )
    assert told == KINDS + AT_ONCE
    assert len(sparing.left_out()) == 1
