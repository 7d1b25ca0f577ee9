"""The queueing model of a warm pool: tables, limits, and a simulation of the very thing it claims to compute."""

from __future__ import annotations

import heapq
import math
from itertools import islice

import numpy as np
import pytest

from scaler.core.warmpool_model import Offered, idle, miss, shares, size_for_fractile, size_for_misses

TABLE = [  # claims in a lead time; Poisson P99, Erlang B <= 1 %, negative binomial P99 with dispersion 3 and 10
    (5.0, 11, 11, 17, 33),
    (12.0, 21, 20, 29, 50),
    (20.0, 31, 30, 42, 66),
    (50.0, 67, 64, 82, 115),
]


@pytest.mark.parametrize(("claims", "poisson", "erlang", "three", "ten"), TABLE)
def test_sizes_are_those_of_the_tables(claims: float, poisson: int, erlang: int, three: int, ten: int) -> None:
    """Quantiles of Poisson and negative binomial counts, and Erlang's B, worked out elsewhere."""
    assert size_for_fractile(Offered(claims), 0.99, 1000) == poisson
    assert size_for_misses(Offered(claims), 0.01, 1000) == erlang
    assert size_for_fractile(Offered(claims, 3.0), 0.99, 1000) == three
    assert size_for_fractile(Offered(claims, 10.0), 0.99, 1000) == ten


@pytest.mark.parametrize(
    ("claims", "size", "share"),
    [(1.0, 1, 1 / 2), (1.0, 2, 1 / 5), (2.0, 2, 2 / 5), (10.0, 10, 0.2146), (5.0, 5, 0.2849)],
)
def test_without_batches_it_is_erlangs_b(claims: float, size: int, share: float) -> None:
    """By hand, and from a table of Erlang's."""
    assert miss(Offered(claims), size) == pytest.approx(share, abs=5e-5)


@pytest.mark.parametrize("claims", [0.3, 5.0, 60.0])
def test_a_dispersion_next_to_one_is_erlangs_b_too(claims: float) -> None:
    """Nothing jumps where batches begin."""
    near, plain = ([s.late for s in islice(shares(Offered(claims, d)), 100)] for d in (1.0 + 1e-6, 1.0))
    assert near == pytest.approx(plain, abs=1e-5)


@pytest.mark.parametrize(("claims", "dispersion", "size"), [(5.0, 3.0, 15), (20.0, 10.0, 50), (40.0, 13.8, 90)])
def test_in_batches_it_is_what_a_pool_of_sandboxes_does(claims: float, dispersion: float, size: int) -> None:
    """A pool with a lead time of 1, played out: claims of a rate drawn anew every 25 of them, refilled one for one."""
    rng = np.random.default_rng(3)
    missed, came = 0, 0
    for load in rng.gamma(claims / (dispersion - 1.0), dispersion - 1.0, 1000):
        at = np.sort(rng.random(rng.poisson(load * 25.0)) * 25.0)
        back: list[float] = []
        for when in at.tolist():
            while back and back[0] <= when:
                heapq.heappop(back)
            if len(back) < size:
                heapq.heappush(back, when + 1.0)
            else:
                missed += 1
        came += len(at)
    assert missed / came == pytest.approx(miss(Offered(claims, dispersion), size), rel=0.2)


def tail(claims: float, size: int) -> float:
    """Probability that so many claims or more come where ``claims`` are expected, by Poisson."""
    return 1.0 - math.fsum(math.exp(n * math.log(claims) - claims - math.lgamma(n + 1)) for n in range(size))


@pytest.mark.parametrize(("claims", "size"), [(0.5, 2), (5.0, 12), (26.0, 30), (50.0, 40), (3.0, 60), (900.0, 20)])
def test_where_every_claim_adopts_it_is_the_tail_of_poisson(claims: float, size: int) -> None:
    """Back orders: each claim makes the pool start another, so as many are on their way as came in a lead time."""
    assert miss(Offered(claims, adopted=1.0), size) == pytest.approx(tail(claims, size), abs=1e-8)


@pytest.mark.parametrize(("claims", "size", "adopted"), [(5.0, 8, 0.5), (26.0, 34, 0.9), (12.0, 12, 0.2)])
def test_in_between_it_is_a_queue_that_some_turn_away_from(claims: float, size: int, adopted: float) -> None:
    """A chain whose arrivals are thinned once none is ready, summed up."""
    weights = [1.0]
    for n in range(1, 400):
        weights.append(weights[-1] * claims * (adopted if n > size else 1.0) / n)
    assert miss(Offered(claims, adopted=adopted), size) == pytest.approx(sum(weights[size:]) / sum(weights))


def test_a_claim_meets_more_of_its_kind_than_the_clock_does() -> None:
    """The quantile over time is too small a pool for claims that come in batches, where few batches fit into it."""
    offered = Offered(5.0, 10.0)
    assert miss(offered, size_for_fractile(offered, 0.99, 1000)) > 0.01
    assert size_for_misses(offered, 0.01, 1000) > size_for_fractile(offered, 0.99, 1000)


def test_nothing_offered_needs_one_for_whoever_comes() -> None:
    """A claim that comes alone is served by one sandbox, and nobody by none."""
    assert size_for_misses(Offered(0.0), 0.01, 100) == 1
    assert size_for_fractile(Offered(0.0), 0.99, 100) == 0
    assert miss(Offered(0.0), 0) == 1.0


def test_no_size_is_above_the_most_that_is_allowed() -> None:
    """Where that is too few for the target, it is all there is."""
    assert size_for_misses(Offered(50.0), 0.01, 20) == 20
    assert [size_for_misses(Offered(50.0, adopted=1.0), 0.01, most) for most in (66, 100)] == [66, 68]
    assert size_for_fractile(Offered(50.0), 0.99, 20) == 20
    assert size_for_fractile(Offered(50.0), 0.99, 0) == 0


def test_a_load_that_no_number_can_hold_in_one_piece_is_no_trouble() -> None:
    """exp(-2000) is nothing; the quantile is found all the same."""
    assert size_for_fractile(Offered(2000.0), 0.5, 5000) == pytest.approx(2000, abs=1)
    assert size_for_misses(Offered(2000.0), 0.01, 5000) == pytest.approx(2029, abs=30)


def test_idle_sandboxes_are_those_that_are_not_on_their_way_back() -> None:
    """A pool that nobody claims from stands idle whole; one that is always empty not at all."""
    assert idle(Offered(0.0), 7, 0.0) == 7.0
    assert idle(Offered(1.0), 1, miss(Offered(1.0), 1)) == pytest.approx(0.5)
    assert idle(Offered(1e6), 3, miss(Offered(1e6), 3)) == pytest.approx(0.0, abs=1e-3)
    assert idle(Offered(5.0), 11, 0.5) == 8.5
