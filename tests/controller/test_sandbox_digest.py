"""What people are told of a pool's claims: hits, misses, waits and cost, and a warning where more missed than may."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from scaler.controller.sandboxes.digest import HOUR, Books, digest
from scaler.controller.sandboxes.ledger import WAITS, Served
from scaler.core.warmpool_types import WarmPolicy
from scaler.sources.timing import Timing

POLICY = WarmPolicy(miss_target=0.05)
NONE = Timing(WAITS).times()
COUNTS = st.integers(0, 1_000)


def books(at: float, waits: Timing | None = None, *, idle: float = 0.0, **served: int) -> Books:
    """Books with so many claims served so."""
    return Books(
        at=at,
        served={Served(word): count for word, count in served.items()},
        waits=NONE if waits is None else waits.times(),
        idle=idle,
    )


def test_an_hour_is_told_in_one_sentence() -> None:
    """By what came since the last one; what could only start cold is no miss and is left out."""
    waits = Timing(WAITS)
    before = books(0.0, waits, idle=7_200.0, ready=100, cold=9)
    for wait in (*[0.2] * 57, 4.0, 4.0, 40.0):
        waits.add(wait)
    after = books(HOUR, waits, idle=18_000.0, ready=157, starting=2, cold=10, bypass=7)
    told = digest(before, after, POLICY, 0.5)
    assert told is not None
    assert told.said == (
        "60 claims in 60 min: 57 hits, 2 took a sandbox that was starting, 1 started cold (5.00% missed, 5.00% may); "
        "95% of them waited up to 0.25 s; 3.0 sandbox-hours stood idle, which cost 1.50"
    )
    assert not told.missed


def test_waits_longer_than_any_bucket_are_told_as_that() -> None:
    """And where none was timed, that."""
    waits = Timing(WAITS)
    waits.add(900.0)
    for timed, said in ((waits, "95% of them waited more than 300 s"), (None, "none was timed")):
        told = digest(books(0.0), books(HOUR, timed, ready=1), POLICY, None)
        assert told is not None
        assert said in told.said


@given(COUNTS, COUNTS, COUNTS)
def test_a_person_is_warned_where_more_missed_than_chance_allows(ready: int, starting: int, cold: int) -> None:
    """And never where no more did than may; of an hour without a claim nothing is told."""
    told = digest(books(0.0), books(HOUR, ready=ready, starting=starting, cold=cold), POLICY, None)
    claims, missed = ready + starting + cold, starting + cold
    assert (told is None) is (claims == 0)
    if told is not None:
        assert not (told.missed and missed <= 0.05 * claims)
        assert told.missed or missed <= 0.05 * claims + 2.0 * (0.05 * claims) ** 0.5 + 1e-9
