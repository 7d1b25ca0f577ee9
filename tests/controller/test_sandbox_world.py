"""The books of warm pools: what claims asked for and got, in whatever order it is seen."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.config.pool import PoolKey
from scaler.controller.feed import Change, Gone, Listed, Lost, Put
from scaler.controller.sandboxes.kinds import Kind
from scaler.controller.sandboxes.ledger import Ledger, Served
from scaler.controller.sandboxes.refill import Refills
from scaler.controller.sandboxes.world import Members, World
from scaler.core.types import Instant, Unknown
from tests.controller.sandboxed import BORN, claim, nano, sandbox, warm_pool

KEY = PoolKey("agents", "python")
BEGUN: Instant = BORN - 5
OWN = ("SandboxClaim", "uid-mine")


def seen(*changes: tuple[Kind, Change], at: Instant = BORN + 0.5) -> World:
    """A world that has seen these, with the pool itself and empty lists before them."""
    world = World(Ledger(BEGUN))
    for kind in Kind:
        world.take(kind, Listed(frozenset()), BORN)
    world.take(Kind.POOL, Put(warm_pool()), BORN)
    for kind, change in changes:
        world.take(kind, change, at)
    return world


ADOPTED = (
    (Kind.CLAIM, Put(claim())),
    (Kind.SANDBOX, Put(sandbox(at=BORN - 60, ready=BORN - 50))),
    (Kind.SANDBOX, Put(sandbox(at=BORN - 60, ready=BORN - 50, owner=OWN))),
    (Kind.CLAIM, Put(claim(annotations={"agents.x-k8s.io/sandbox-name": "python-1"}))),
)


@given(st.permutations(ADOPTED[1:]), st.integers(0, 3))
def test_a_claim_is_booked_once_however_the_feeds_are_interleaved(
    changes: list[tuple[Kind, Change]], place: int
) -> None:
    """Kinds are watched one by one, so a sandbox may be seen to be claimed before the claim is seen."""
    changes.insert(place, ADOPTED[0])
    for again in (1, 2):
        book = seen(*(changes * again)).ledger.book(KEY)
        assert dict(book.served) == {Served.READY: 1}
        assert book.fresh.arrivals == 1


@pytest.mark.parametrize(
    ("launch", "ready", "served"),
    [("warm", BORN - 9, Served.READY), ("warm", None, Served.STARTING), ("cold", None, Served.COLD)],
)
def test_a_claim_misses_unless_what_it_gets_is_ready(launch: str, ready: Instant | None, served: Served) -> None:
    """A sandbox that is not ready yet may be adopted, and counts as warm for agent-sandbox; its agent waits."""
    world = seen((Kind.CLAIM, Put(claim())), (Kind.SANDBOX, Put(sandbox(owner=OWN, launch=launch, ready=ready))))
    assert dict(world.ledger.book(KEY).served) == {served: 1}
    world.take(Kind.SANDBOX, Put(sandbox(owner=OWN, launch=launch, ready=BORN + 3)), BORN + 3)
    assert dict(world.ledger.book(KEY).served) == {served: 1}


def test_a_claim_that_must_start_cold_asks_nothing_of_the_pool() -> None:
    """Else the pool grew for it for ever, and never served it."""
    own = claim(spec={"env": [{"name": "A", "value": "b"}]})
    world = seen()
    assert world.take(Kind.CLAIM, Put(own), BORN) == frozenset()
    world.take(Kind.SANDBOX, Put(sandbox("mine", owner=OWN, launch="cold")), BORN + 1)
    book = world.ledger.book(KEY)
    assert book.fresh.arrivals == 0
    assert dict(book.served) == {Served.BYPASS: 1}


def test_an_arrival_is_told_the_moment_it_is_seen_and_only_then() -> None:
    """Demand is what arrives, not what is served."""
    world = seen()
    assert world.take(Kind.CLAIM, Put(claim()), BORN + 0.5) == {KEY}
    assert world.take(Kind.CLAIM, Put(claim()), BORN + 0.6) == frozenset()
    assert world.ledger.book(KEY).take().arrivals == 1
    assert world.ledger.book(KEY).take().arrivals == 0


def test_claims_that_were_there_before_us_are_not_counted_again() -> None:
    """Somebody else has: the process before this one, or the replica that led."""
    old = claim(at=BEGUN - 60)
    world = seen((Kind.CLAIM, Put(old)), (Kind.SANDBOX, Put(sandbox(owner=OWN, ready=BORN))))
    book = world.ledger.book(KEY)
    assert book.fresh.arrivals == 0
    assert dict(book.served) == {}


def test_claims_that_come_back_are_not_counted_again() -> None:
    """The server denied their kind for a while, and was wrong; who claimed meanwhile is demand, and a storm is not."""
    old = [Put(claim(f"c{i}", BORN + i)) for i in range(9)]
    world = seen(*((Kind.CLAIM, put) for put in old), at=BORN + 9)
    world.take(Kind.SANDBOX, Put(sandbox(owner=("SandboxClaim", "uid-c0"), ready=BORN)), BORN + 9)
    assert world.ledger.book(KEY).take().arrivals == 9
    world.take(Kind.CLAIM, Lost("no such kind"), BORN + 10)
    world.take(Kind.CLAIM, Listed(frozenset()), BORN + 80)
    assert world.claims == {}
    for put in (*old, Put(claim("new", BORN + 60))):
        world.take(Kind.CLAIM, put, BORN + 90)
    assert world.ledger.book(KEY).take().arrivals == 1


def test_a_claim_that_is_seen_late_is_demand_all_the_same() -> None:
    """A watch that lags behind, or broke, must not hide a storm."""
    world = seen((Kind.CLAIM, Put(claim())), at=BORN + 60)
    assert world.ledger.book(KEY).fresh.arrivals == 1


def test_a_claim_waits_from_its_arrival_until_it_is_given_something() -> None:
    """Meanwhile the pool is not lowered, for what it would give up may be what the claim gets."""
    world = seen((Kind.CLAIM, Put(claim())))
    assert world.ledger.waits(KEY, BORN + 1)
    world.take(Kind.SANDBOX, Put(sandbox(owner=OWN, ready=BORN)), BORN + 1)
    assert not world.ledger.waits(KEY, BORN + 1)
    world.take(Kind.CLAIM, Gone(claim()), BORN + 2)
    assert not world.ledger.waits(KEY, BORN + 2)


def test_a_claim_that_cannot_be_served_does_not_keep_the_pool_up_for_ever() -> None:
    """It names a label that agent-sandbox refuses, for instance, and stands there unserved."""
    world = seen((Kind.CLAIM, Put(claim())))
    assert not world.ledger.waits(KEY, BORN + 60)


def test_a_claim_that_is_deleted_before_it_got_anything_is_booked_as_that() -> None:
    """It was demand all the same."""
    world = seen((Kind.CLAIM, Put(claim())), (Kind.CLAIM, Gone(claim())))
    assert dict(world.ledger.book(KEY).served) == {Served.NOTHING: 1}


def test_the_lead_time_is_measured_by_our_clock_where_we_saw_all_of_it() -> None:
    """The stamps of the objects are to the second, which is as long as a start."""
    world = seen()
    world.take(Kind.SANDBOX, Put(sandbox()), BORN + 0.3)
    world.take(Kind.SANDBOX, Put(sandbox(ready=BORN + 2)), BORN + 2.9)
    assert world.ledger.book(KEY).fresh.leads == [pytest.approx(2.6)]


def test_a_sandbox_that_is_claimed_before_it_is_ready_still_tells_how_long_it_took() -> None:
    """Leaving those out would measure only the quick ones."""
    world = seen((Kind.CLAIM, Put(claim())))
    world.take(Kind.SANDBOX, Put(sandbox()), BORN + 0.5)
    world.take(Kind.SANDBOX, Put(sandbox(owner=OWN)), BORN + 1)
    world.take(Kind.SANDBOX, Put(sandbox(owner=OWN, ready=BORN + 9)), BORN + 9.5)
    fresh = world.ledger.book(KEY).fresh
    assert fresh.leads == pytest.approx([9.0])
    assert fresh.colds == []


def taken(*, size: int = 2) -> World:
    """A world in which a claim has taken a sandbox at ``BORN + 1``; the pool is asked for ``size`` from then on."""
    world = seen((Kind.CLAIM, Put(claim())), (Kind.SANDBOX, Put(sandbox(ready=BORN))))
    world.take(Kind.SANDBOX, Put(sandbox(ready=BORN, owner=OWN)), BORN + 1)
    world.take(Kind.POOL, Put(warm_pool(size)), BORN + 1)
    world.ledger.book(KEY).take()
    return world


def replaced(world: World, name: str, *, begun: Instant) -> list[float]:
    """The lead times that one teaches which the pool begins then and has ready two seconds later."""
    world.take(Kind.SANDBOX, Put(sandbox(name, begun)), begun)
    world.take(Kind.SANDBOX, Put(sandbox(name, begun, ready=begun + 2)), begun + 2)
    return world.ledger.book(KEY).take().leads


def test_a_lead_time_begins_when_the_sandbox_is_taken_that_is_replaced() -> None:
    """A busy controller takes its time before it begins; one that only makes the pool larger replaces none."""
    world = taken()
    assert replaced(world, "python-2", begun=BORN + 2) == pytest.approx([3.0])
    assert replaced(world, "python-3", begun=BORN + 5) == pytest.approx([2.0])


def test_what_is_not_replaced_says_nothing_of_lead_times() -> None:
    """The pool was asked for fewer, or its controller was away: the next one is no replacement of it."""
    assert replaced(taken(size=1), "python-2", begun=BORN + 2) == pytest.approx([2.0])
    assert replaced(taken(), "python-2", begun=BORN + 40) == pytest.approx([2.0])
    world = taken()
    world.take(Kind.POOL, Gone(warm_pool()), BORN + 2)
    world.take(Kind.POOL, Put(warm_pool()), BORN + 2)
    assert replaced(world, "python-2", begun=BORN + 3) == pytest.approx([2.0])


@given(
    st.lists(st.floats(0.0, 20.0), min_size=1, max_size=20),
    st.lists(st.floats(0.0, 9.0), min_size=20, max_size=20),
)
def test_the_mean_is_right_whichever_replaces_which(takes: list[float], lags: list[float]) -> None:
    """Each is replaced once, some overtaking others."""
    pairs = sorted(zip(takes, lags, strict=False))
    events = sorted([(at, 0) for at, _ in pairs] + [(at + lag, 1) for at, lag in pairs])
    refills, found = Refills(), []
    for at, came in events:
        if came:
            found.append(refills.came("pool", at))
        else:
            refills.left("pool", at)
    assert sum(found) == pytest.approx(sum(lag for _, lag in pairs), abs=1e-6)


def test_a_cold_start_is_timed_apart() -> None:
    """It is what a claim waits for that misses, and says nothing of the pool's own lead time."""
    world = seen((Kind.CLAIM, Put(claim())))
    world.take(Kind.SANDBOX, Put(sandbox("mine", owner=OWN, launch="cold")), BORN + 0.5)
    world.take(Kind.SANDBOX, Put(sandbox("mine", owner=OWN, launch="cold", ready=BORN + 25)), BORN + 25.5)
    fresh = world.ledger.book(KEY).fresh
    assert fresh.leads == []
    assert fresh.colds == pytest.approx([25.0])


def test_the_wait_of_a_claim_is_from_its_arrival_until_it_was_ready_first() -> None:
    """By the annotations, which are exact."""
    notes = {
        "agents.x-k8s.io/controller-first-observed-at": nano(BORN + 0.25),
        "agents.x-k8s.io/claim-first-ready-at": nano(BORN + 0.32),
    }
    world = seen(*((Kind.CLAIM, Put(claim(annotations=notes))) for _ in range(2)))
    waits = world.ledger.book(KEY).waits.times()
    assert (waits.count, round(waits.total, 3)) == (1, 0.07)


def test_members_are_the_sandboxes_that_the_pool_owns_and_that_stay() -> None:
    """Ready, starting, or stuck where no node will have them."""
    world = seen(
        (Kind.SANDBOX, Put(sandbox("a", ready=BORN))),
        (Kind.SANDBOX, Put(sandbox("b"))),
        (Kind.SANDBOX, Put(sandbox("c", stuck=True))),
        (Kind.SANDBOX, Put(sandbox("d", ready=BORN))),
        (Kind.SANDBOX, Put(sandbox("d", ready=BORN, owner=OWN))),
    )
    assert world.members(world.pools[KEY]) == Members(ready=1, starting=1, stuck=1)
    world.take(Kind.SANDBOX, Gone(sandbox("b")), BORN + 1)
    assert world.members(world.pools[KEY]) == Members(ready=1, starting=0, stuck=1)


def test_what_a_new_list_does_not_have_is_gone() -> None:
    """A watch that broke may have missed the end of anything."""
    world = seen((Kind.SANDBOX, Put(sandbox("a"))), (Kind.SANDBOX, Put(sandbox("b"))), (Kind.CLAIM, Put(claim())))
    world.take(Kind.SANDBOX, Lost("the connection broke"), BORN + 1)
    assert isinstance(world.members(world.pools[KEY]), Unknown)
    world.take(Kind.SANDBOX, Put(sandbox("b")), BORN + 2)
    world.take(Kind.SANDBOX, Listed(frozenset({"uid-b"})), BORN + 2)
    assert world.members(world.pools[KEY]) == Members(starting=1)
    assert set(world.claims) == {"uid-mine"}


def test_a_pool_that_is_made_anew_is_another_one() -> None:
    """The end of the one before it, seen late, does not take it away."""
    world = seen((Kind.POOL, Put(warm_pool(5, uid="uid-2"))), (Kind.POOL, Gone(warm_pool())))
    assert world.pools[KEY].id.uid == "uid-2"
    assert world.members(world.pools[KEY]) == Members()


def test_nothing_is_judged_before_every_kind_was_listed() -> None:
    """A rival that was not seen yet would be fought, and a member not seen yet be missed."""
    world = World(Ledger(BEGUN))
    for kind in Kind:
        assert kind in world.blind
        world.take(kind, Listed(frozenset()), BORN)
    assert world.blind == {}


def test_every_order_of_the_kinds_ends_in_the_same_members() -> None:
    """The pool may be listed after its sandboxes."""
    changes = [
        (Kind.POOL, Put(warm_pool(uid="uid-python"))),
        (Kind.SANDBOX, Put(sandbox(ready=BORN))),
        (Kind.CLAIM, Put(claim())),
    ]
    for order in itertools.permutations(changes):
        world = World(Ledger(BEGUN))
        for kind in Kind:
            world.take(kind, Listed(frozenset()), BORN)
        for kind, change in order:
            world.take(kind, change, BORN)
        assert world.members(world.pools[KEY]) == Members(ready=1)
