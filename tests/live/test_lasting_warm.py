"""What warm pools have learnt, for the process after this one: small, rounded as stated, and no reason to lower any."""

from __future__ import annotations

import json
from dataclasses import astuple, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scaler.core.policy import Pace
from scaler.core.reasons import Reason
from scaler.core.record import RecordError
from scaler.core.warmpool_foresee import BUCKET
from scaler.core.warmpool_learn import dispersion
from scaler.core.warmpool_memory import BUCKETS, CANDIDATES, CONSTANTS, KEPT, Errors, Late, Leads, WarmMemory
from scaler.core.warmpool_types import WarmPolicy
from scaler.live.lasting_warm import VERSION, pack_warm, unpack_warm
from scaler.live.store import NewerError
from tests.core.pool import NOW
from tests.core.warm import SAME_LEADS, Watched, poisson

PACE = WarmPolicy().pace
NAMES = len('"": ,') + 2 * 63 + len("__warm")  # of the entry of a pool with the longest names that labels may have
TRIED = settings(max_examples=200, deadline=None, derandomize=True, database=None)
FIGURES = st.floats(0.0, 1e12) | st.sampled_from([0.0, 5e-324, 1e-107, 1.23456789e-9, 123456.789, 1e30])
ABOVE = FIGURES.map(lambda figure: figure + 1e-3)
ERRORS = st.builds(Errors, ABOVE, FIGURES, FIGURES, ABOVE, ABOVE)


@st.composite
def learnt(draw: st.DrawFn) -> WarmMemory:
    """Whatever a warm pool may have been taught, in numbers of any size."""
    fresh = WarmMemory.fresh(NOW - draw(st.floats(0.0, 1e9)), PACE)
    cells = np.frombuffer(draw(st.binary(min_size=KEPT, max_size=KEPT)), dtype=np.uint8)
    samples = np.array(draw(st.lists(FIGURES, max_size=64)))
    return replace(
        fresh,
        at=NOW,
        leads=Leads(replace(fresh.leads.last, samples=tuple(samples)), draw(ABOVE), draw(st.integers(0, 10**12))),
        claims=replace(
            fresh.claims,
            since=draw(st.none() | st.floats(0.0, NOW)),
            rates=tuple(draw(FIGURES) for _ in CONSTANTS),
            slower=tuple(draw(FIGURES) for _ in CONSTANTS),
            losses=tuple(draw(FIGURES) for _ in CANDIDATES),
            errors=draw(ERRORS),
            profile=cells.astype(float) * draw(FIGURES),
            stamps=np.where(cells % 3, int(NOW // BUCKET) - (int(NOW // BUCKET) - np.arange(KEPT)) % KEPT, -1),
        ),
        late=Late(draw(ABOVE), draw(FIGURES)),
    )


def resumed(memory: WarmMemory, now: float = NOW) -> WarmMemory:
    """The memory of the process after this one."""
    return unpack_warm(json.loads(pack_warm(memory)), PACE, now)


def worked(hours: float = 2.0, *, step: float = 15.0) -> Watched:
    """A pool that has been claimed from in batches for so long."""
    pool = Watched(policy=WarmPolicy(miss_target=0.01), step=step)
    pool.tick(0, leads=SAME_LEADS * 8, cold=3, unready=2)
    pool.run([4 * n for n in poisson(0.2, round(hours * 3600 / step), step=step)])
    return pool


@TRIED
@given(learnt())
def test_what_is_kept_of_any_memory_is_less_than_a_kibibyte(memory: WarmMemory) -> None:
    """In numbers of any size; and the next process can read it, and keeps no more."""
    assert len(pack_warm(memory)) + NAMES <= 1024
    assert len(pack_warm(replace(resumed(memory), at=NOW))) + NAMES <= 1024


def test_a_resumed_pool_believes_what_it_believed() -> None:
    """Rate, dispersion, lead time, who foresees best, and how those fared that missed."""
    pool = worked(26.0, step=60.0)
    was = pool.memory
    assert was is not None
    again = resumed(was, pool.now)
    assert again.claims.rates == pytest.approx(was.claims.rates, rel=1e-6)
    assert again.claims.slower == pytest.approx(was.claims.slower, rel=1e-6)
    assert again.claims.losses == pytest.approx(was.claims.losses, rel=1e-6)
    assert astuple(again.claims.errors) == pytest.approx(astuple(was.claims.errors), rel=1e-6)
    assert dispersion(again.claims.errors) == pytest.approx(dispersion(was.claims.errors), rel=1e-5)
    assert again.leads.mean == pytest.approx(was.leads.mean, rel=1e-4)
    assert again.leads.count == was.leads.count
    assert again.leads.last.samples == pytest.approx(was.leads.last.samples, rel=1 / 30)
    assert astuple(again.late) == pytest.approx(astuple(was.late), rel=1e-4)
    last = int(was.at // BUCKET)
    day = [bucket % KEPT for bucket in range(last - BUCKETS, last + 1)]
    assert list(again.claims.stamps[day]) == list(was.claims.stamps[day])
    assert again.claims.profile[day] == pytest.approx(was.claims.profile[day], rel=1 / 30)


def test_a_resumed_pool_asks_for_what_it_asked_for() -> None:
    """At its very first tick, where one that had learnt nothing would ask for less."""
    pool = worked()
    before = pool.tick(0)
    pool.memory = resumed(pool.memory or WarmMemory.fresh(NOW, PACE), pool.now)
    assert abs(pool.tick(0).evidence.wanted - before.evidence.wanted) <= 1  # type: ignore[operator] # both are known
    stranger = Watched(policy=pool.policy, size=pool.size)
    assert stranger.tick(0).evidence.wanted < before.evidence.wanted  # type: ignore[operator] # both are known


def test_nothing_is_rounded_twice() -> None:
    """What was kept is kept as it is by every process after that, however often it is restarted."""
    once = resumed(worked().memory or WarmMemory.fresh(NOW, PACE))
    assert pack_warm(replace(resumed(once), at=NOW)) == pack_warm(replace(once, at=NOW))


def test_a_restarted_process_lowers_no_pool_before_its_hold_is_over() -> None:
    """Nobody has claimed for a day, for all it knows; nobody has watched. Then the spare ones go."""
    pool = worked()
    pool.size = size = pool.size + 20
    pool.memory = resumed(pool.memory or WarmMemory.fresh(NOW, PACE), pool.now)
    begun, hold = pool.now, pool.tick(0).evidence.timer
    while pool.now - begun < hold:
        told = pool.tick(0)
        assert pool.size == size
        assert Reason.NEWCOMER in {step.reason for step in told.trail}
    pool.run([0] * round(2 * hold / pool.step))
    assert pool.size < size


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("at", "yesterday"),
        ("v", "1"),
        ("v", 0.5),
        ("mean", 0.0),
        ("mean", float("inf")),
        ("seen", -1),
        ("leads", "not base85 \u00e9"),
        ("rates", "0000"),
        ("losses", None),
        ("day", ""),
        ("bucket", 1.5),
        ("more", 1),
    ],
)
def test_what_nobody_wrote_is_refused(key: str, value: object) -> None:
    """Each row: a key, and what stands there instead."""
    kept = json.loads(pack_warm(worked(0.1).memory or WarmMemory.fresh(NOW, PACE))) | {key: value}
    with pytest.raises(RecordError):
        unpack_warm(kept, PACE, NOW)


def test_errors_that_stand_on_nothing_are_refused() -> None:
    """A decision would divide by them."""
    fresh = WarmMemory.fresh(NOW, PACE)
    empty = replace(fresh, claims=replace(fresh.claims, errors=Errors(claims=0.0, came=0.0)))
    with pytest.raises(RecordError, match="stand on nothing"):
        unpack_warm(json.loads(pack_warm(empty)), PACE, NOW)
    lost = json.loads(pack_warm(replace(fresh, late=Late(0.0, 0.0))))
    with pytest.raises(RecordError, match="cold and unready"):
        unpack_warm(lost, PACE, NOW)


def test_what_a_newer_scaler_wrote_is_told_apart() -> None:
    """It is not damaged: the way out is a newer scaler."""
    kept = json.loads(pack_warm(WarmMemory.fresh(NOW, Pace()))) | {"v": VERSION + 1, "more": 1}
    with pytest.raises(NewerError, match=f"version {VERSION + 1}.*up to {VERSION}; run a newer one"):
        unpack_warm(kept, PACE, NOW)
