"""The world of claims: what a pool of sandboxes does is what agent-sandbox does, and what a queue of its kind must."""

from __future__ import annotations

import math

import numpy as np
import pytest

from scaler.core.pods import Floats
from scaler.core.warmpool_model import Offered, miss
from scaler.sim.warm import Claiming, Tally, WarmPool, play, wait_p95
from scaler.sim.warm_peers import FixedSizer
from scaler.sim.warm_sight import Stock
from scaler.sim.workload import Lognormal

EXACTLY = Lognormal(math.log(10.0), 0.0, "ten seconds, always")
SPREAD = Lognormal(math.log(10.0), 0.6, "around ten seconds")


def pool(size: int, lead: Lognormal = EXACTLY) -> WarmPool:
    """One that stands ready."""
    return WarmPool(size, lead, seed=1)


def claims(*at: float, ends: float = 100.0) -> Claiming:
    """Claims at these instants, each for a minute."""
    return Claiming(at=np.array(at), held=np.full(len(at), 60.0), ends=ends)


def steady(rate: float, hours: float, seed: int = 1) -> Claiming:
    """Claims that come by chance."""
    rng, seconds = np.random.default_rng(seed), hours * 3600.0
    at: Floats = np.sort(rng.random(rng.poisson(rate * seconds)) * seconds)
    return Claiming(at=at, held=np.full(len(at), 60.0), ends=seconds)


def fixed(claiming: Claiming, size: int, lead: Lognormal = EXACTLY) -> Tally:
    """What a pool of that size comes to."""
    return play(claiming, FixedSizer(size), pool(size, lead))


def test_a_claim_takes_a_ready_sandbox_and_the_pool_makes_another() -> None:
    """Two claims, two sandboxes: nobody waits, and ten seconds later there are two again."""
    world = pool(2)
    world.claim(5.0, 60.0)
    world.claim(6.0, 60.0)
    seen = world.look(6.0)
    assert (seen.ready, seen.starting, seen.claims, seen.in_use) == (0, 2, 2, 2)
    seen = world.look(16.0)
    assert (seen.ready, seen.starting) == (2, 0)
    assert seen.leads == pytest.approx((10.0, 10.0))
    assert world.end(16.0).waits == []


def test_a_claim_that_finds_none_starts_its_own_and_the_pool_makes_none_for_it() -> None:
    """A lost sale: it waits a whole lead time, and the pool stays as it is."""
    world = pool(1)
    world.claim(0.0, 60.0)
    world.claim(1.0, 60.0)
    assert (world.look(1.0).starting, world.look(1.0).cold) == (1, 1)
    assert world.end(20.0).waits == pytest.approx([10.0])


def test_one_that_is_about_to_be_ready_is_adopted_and_replaced() -> None:
    """A back order: it waits for what is left of the lead time."""
    world = pool(1)
    world.claim(0.0, 60.0)
    world.claim(9.5, 60.0)
    seen = world.look(9.5)
    assert (seen.starting, seen.cold, seen.unready) == (1, 0, 1)
    assert world.end(20.0).waits == pytest.approx([0.5])


def test_a_smaller_size_takes_those_first_that_are_not_ready() -> None:
    """And a larger one starts what is missing."""
    world = pool(3)
    world.claim(1.0, 60.0)
    world.resize(2)
    assert (world.look(1.0).ready, world.look(1.0).starting) == (2, 0)
    world.resize(1)
    world.resize(5)
    assert (world.look(1.0).ready, world.look(1.0).starting) == (1, 4)
    assert world.end(1.0).largest == 5


def test_what_stands_idle_is_counted_to_the_second() -> None:
    """One of two is claimed at 10 s and is there again at 20 s: 10 of 200 sandbox-seconds are on their way."""
    tally = fixed(claims(10.0), 2)
    assert [tally.idle, tally.standing] == pytest.approx([190.0, 200.0])


def test_sandboxes_that_are_given_back_are_no_longer_in_use() -> None:
    """After the time for which each is held."""
    world = pool(2)
    world.claim(0.0, 60.0)
    assert (world.look(59.0).in_use, world.look(60.0).in_use) == (1, 0)


@pytest.mark.parametrize("lead", [EXACTLY, SPREAD], ids=["exact", "spread"])
@pytest.mark.parametrize("size", [8, 12])
def test_a_fixed_pool_misses_what_the_model_says(lead: Lognormal, size: int) -> None:
    """Between lost sales and back orders, with the share of adoptions that was seen; whatever the lead time's shape."""
    tally = fixed(steady(0.8, 60.0), size, lead)
    mean = lead.quantile(lead.sigma / 2)
    missed = tally.cold + tally.unready
    expected = miss(Offered(0.8 * mean, adopted=tally.unready / missed), size)
    assert missed / tally.claims == pytest.approx(expected, rel=0.1)


def test_the_same_seed_gives_the_same_run() -> None:
    """Lead times follow from it alone, whoever sizes the pool."""
    one, other = (fixed(steady(0.8, 1.0), 6, SPREAD) for _ in range(2))
    assert (one.cold, one.unready, one.idle) == (other.cold, other.unready, other.idle)


def test_a_policy_looks_every_period_from_the_first_instant_on() -> None:
    """Also after the last claim, until the end."""

    class Watcher:
        """Notes when it looked."""

        period = 30.0

        def __init__(self) -> None:
            self.at: list[float] = []

        def decide(self, stock: Stock) -> int:
            """The same size."""
            self.at.append(stock.now)
            return stock.size

    watcher = Watcher()
    play(claims(10.0, 40.0), watcher, pool(2))
    assert watcher.at == [0.0, 30.0, 60.0, 90.0]


def test_the_p95_wait_is_that_of_all_claims() -> None:
    """Those that waited for nothing included."""
    assert wait_p95(Tally(claims=100, waits=[9.0] * 5)) == 0.0
    assert wait_p95(Tally(claims=100, waits=[9.0] * 5 + [1.0])) == 1.0
    assert wait_p95(Tally()) == 0.0
