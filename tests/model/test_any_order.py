"""The core's drain protocol against everything at once: leaders of every age, agents, the HPA, evictions, restarts.

Hypothesis chooses who acts next. Leaders decide with the core's own functions on what they saw, which may be old, and
their orders are carried out at any time after, or never.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pytest
from hypothesis import Phase as Tries
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from scaler.core import drain
from scaler.core.fleet import Fleet
from scaler.core.pods import Phase, Pod
from scaler.core.policy import Policy
from scaler.core.types import Order, Verb
from tests.core.pool import NOW, given, observe
from tests.model.guarded import Guarded, Missing, RefusedError

POLICY: Final = Policy()
ANY: Final = st.integers(min_value=0, max_value=11)
LEADERS: Final = 2


@dataclass
class Leader:
    """What one process believes, and what it has decided and not carried out yet."""

    pods: tuple[Pod, ...] = ()
    orders: list[Order] = field(default_factory=list)

    @property
    def fleet(self) -> Fleet:
        """The pods as the core sees them."""
        found = given(POLICY, observe(self.pods)).fleet
        assert isinstance(found, Fleet)
        return found

    def believes(self, order: Order) -> Pod | None:
        """What it knows of the pod that an order is for."""
        return next((pod for pod in self.pods if pod.uid == order.uid), None)


class AnyOrder(RuleBasedStateMachine):
    """Every rule is somebody who acts."""

    missing = Missing.NOTHING

    def __init__(self) -> None:
        super().__init__()
        self.server = Guarded(missing=self.missing)
        self.leaders = [Leader() for _ in range(LEADERS)]

    @initialize(count=st.integers(min_value=1, max_value=3))
    def begin(self, count: int) -> None:
        """A pool of so many."""
        self.server.replicas = count
        self.server.fill(NOW)

    # --- agents -----------------------------------------------------------------------------------------------------

    @rule(which=st.sets(st.integers(min_value=0, max_value=2), min_size=1))
    def start(self, which: set[int]) -> None:
        """Some agents begin a task, if their gates are open."""
        for n, agent in enumerate(self.server.agents.values()):
            if n in which:
                agent.start()

    @rule(which=ANY)
    def finish(self, which: int) -> None:
        """An agent ends one."""
        if working := [agent for agent in self.server.agents.values() if agent.running]:
            working[which % len(working)].finish()

    @rule(which=ANY)
    def restart(self, which: int) -> None:
        """An agent's process ends and begins again."""
        if uids := list(self.server.agents):
            self.server.agents[uids[which % len(uids)]].restart()

    # --- leaders ----------------------------------------------------------------------------------------------------

    @rule(who=st.integers(min_value=0, max_value=LEADERS - 1))
    def see(self, who: int) -> None:
        """A leader reads labels and hears the agents. Until it does so again, this is what it goes by."""
        self.leaders[who].pods = self.server.seen(NOW)

    @rule(who=st.integers(min_value=0, max_value=LEADERS - 1), rows=st.sets(ANY, max_size=3))
    def mark(self, who: int, rows: set[int]) -> None:
        """It begins to drain some, whichever the figures named."""
        fleet = self.leaders[who].fleet
        active = [int(i) for i in np.flatnonzero(fleet.pods.phase == Phase.ACTIVE)]
        chosen = tuple(i for n, i in enumerate(active) if n in rows)
        self.leaders[who].orders += drain.mark(fleet.pods, chosen)

    @rule(who=st.integers(min_value=0, max_value=LEADERS - 1), count=st.integers(min_value=0, max_value=3))
    def go_on(self, who: int, count: int) -> None:
        """It calls so many drains back, and goes on with the others."""
        fleet = self.leaders[who].fleet
        cancelled = drain.call_back(fleet, count)
        self.leaders[who].orders += cancelled + drain.go_on(fleet, cancelled, commit=True)

    @rule(who=st.integers(min_value=0, max_value=LEADERS - 1), spare=st.integers(min_value=0, max_value=2))
    def delete(self, who: int, spare: int) -> None:
        """It deletes what is released."""
        fleet = self.leaders[who].fleet
        self.leaders[who].orders += drain.delete(fleet, drain.released(fleet, len(fleet.pods)), spare=range(spare))

    @rule(who=st.integers(min_value=0, max_value=LEADERS - 1), which=ANY, forget=st.booleans())
    def carry_out(self, who: int, which: int, *, forget: bool) -> None:
        """One of its orders is carried out, and may be once more later."""
        leader = self.leaders[who]
        if leader.orders:
            order = leader.orders[which % len(leader.orders)]
            if forget:
                leader.orders.remove(order)
            self._carried(leader, order)

    @rule(who=st.integers(min_value=0, max_value=LEADERS - 1), which=ANY, verb=st.sampled_from(Verb))
    def err(self, who: int, which: int, verb: Verb) -> None:
        """It sees, and orders what it has no reason for."""
        self.see(who)
        if pods := self.leaders[who].pods:
            pod = pods[which % len(pods)]
            self._carried(self.leaders[who], Order(verb, pod.uid, pod.epoch + (verb in {Verb.MARK, Verb.CANCEL})))

    @rule(who=st.integers(min_value=0, max_value=LEADERS - 1), wanted=st.integers(min_value=-1, max_value=1))
    def turn(self, who: int, wanted: int) -> None:
        """A whole tick: it sees, calls a drain back, goes on with all or begins one, and carries it out at once."""
        self.see(who)
        leader = self.leaders[who]
        if leader.pods:
            fleet = leader.fleet
            rows = np.flatnonzero(fleet.pods.phase == Phase.ACTIVE)[: max(0, -wanted)]
            back = drain.call_back(fleet, wanted)
            orders = back + drain.go_on(fleet, back, commit=True) + drain.mark(fleet.pods, tuple(map(int, rows)))
            leader.orders += orders
            for order in orders:
                self._carried(leader, order)

    def _carried(self, leader: Leader, order: Order) -> None:
        if (believed := leader.believes(order)) is not None:
            with suppress(RefusedError):
                self.server.order(order, believed)

    @rule(who=st.integers(min_value=0, max_value=LEADERS - 1))
    def lower(self, who: int) -> None:
        """It sets the replicas to its floor: what it takes away is drained, if what it saw is so still."""
        leader = self.leaders[who]
        if {pod.uid for pod in leader.pods} == set(self.server.pods):
            self.server.replicas = drain.floor(leader.fleet, POLICY)

    @rule(who=st.integers(min_value=0, max_value=LEADERS - 1))
    def crash(self, who: int) -> None:
        """A process ends; the next one knows nothing."""
        self.leaders[who] = Leader()

    # --- everybody else ---------------------------------------------------------------------------------------------

    @rule(replicas=st.integers(min_value=0, max_value=3), which=ANY)
    def scale(self, replicas: int, which: int) -> None:
        """The HPA, KEDA or a person sets the replicas: the ReplicaSet starts what is missing, or takes what is over.

        It goes by its own ranking, which is nobody's business.
        """
        self.server.replicas = replicas
        self.server.fill(NOW)
        uids = list(self.server.pods)
        for uid in (uids[which % len(uids) :] + uids)[: max(0, len(uids) - replicas)] if uids else ():
            with suppress(RefusedError, KeyError):
                self.server.delete(uid)

    @rule(which=ANY)
    def check_eviction(self, which: int) -> None:
        """A node is drained: the budget is asked."""
        if uids := list(self.server.pods):
            with suppress(RefusedError):
                self.server.check_eviction(uids[which % len(uids)])

    @rule(which=ANY)
    def revert(self, which: int) -> None:
        """Somebody wants a drained pod back."""
        if uids := [uid for uid, pod in self.server.pods.items() if pod.phase is Phase.DRAINED]:
            with suppress(RefusedError):
                self.server.revert(uids[which % len(uids)])

    @precondition(lambda self: self.server.allowed)
    @rule(which=ANY)
    def evict(self, which: int) -> None:
        """And the pod is deleted, however late."""
        uids = sorted(self.server.allowed)
        self.server.evict(uids[which % len(uids)])

    # --- what holds -------------------------------------------------------------------------------------------------

    @invariant()
    def no_task_is_lost(self) -> None:
        """Nobody has deleted a pod that works."""
        assert not self.server.lost

    @invariant()
    def a_drained_pod_is_idle_behind_its_gate_for_ever(self) -> None:
        """Nothing runs in it, nothing can start, and it is never anything else again."""
        for uid in self.server.ever & set(self.server.pods):
            agent = self.server.agents[uid]
            assert self.server.pods[uid].phase is Phase.DRAINED
            assert (agent.running, agent.open) == (0, False)

    @invariant()
    def the_floor_keeps_all_that_work(self) -> None:
        """Replicas as low as the floor take drained pods alone."""
        pods = self.server.seen(NOW)
        lowest = drain.floor(Leader(pods=pods).fleet, POLICY) if pods else 0
        assert lowest == sum(pod.phase is not Phase.DRAINED for pod in pods)
        assert lowest >= sum(agent.running > 0 for agent in self.server.agents.values())

    def teardown(self) -> None:
        """Once everybody else is quiet and all tasks end, a new leader brings every drain to its end."""
        for agent in self.server.agents.values():
            agent.running = 0
        for _ in range(4):
            leader = Leader(pods=self.server.seen(NOW))
            if leader.pods:
                for order in self._next(leader):
                    self._carried(leader, order)
        assert all(pod.phase is Phase.ACTIVE for pod in self.server.pods.values())
        assert not self.server.lost

    def _next(self, leader: Leader) -> Sequence[Order]:
        fleet = leader.fleet
        going = drain.go_on(fleet, (), commit=True)
        return going + drain.delete(fleet, drain.released(fleet, len(fleet.pods)), spare=range(0))


def test_in_any_order_no_task_is_lost() -> None:
    """And every drain ends."""
    run_state_machine_as_test(AnyOrder, settings=settings(max_examples=150, stateful_step_count=50))


QUICKLY_FOUND: Final = (Missing.DELETE_GUARD, Missing.BUDGET, Missing.GATE, Missing.MEMORY_OF_THE_GATE)


@pytest.mark.parametrize("missing", QUICKLY_FOUND, ids=lambda missing: missing.name)
def test_without_a_safeguard_a_promise_breaks(missing: Missing) -> None:
    """Otherwise the test above would prove nothing; a task is lost, or a drained pod can work."""
    weaker = type("Weaker", (AnyOrder,), {"missing": missing})
    quick = settings(max_examples=1_000, stateful_step_count=50, phases=[Tries.generate])
    with pytest.raises(AssertionError):
        run_state_machine_as_test(weaker, settings=quick)


# --- ways too long to be met by chance --------------------------------------------------------------------------------


def an_old_commit(server: Guarded) -> None:
    """A leader that heard the first epoch's word commits after another one has called it back and marked anew."""
    old = _acknowledged(server)
    for verb, epoch in ((Verb.CANCEL, 2), (Verb.MARK, 3)):
        _ordered(server, verb, epoch, old)
    server.agents[ONE].start()
    _ordered(server, Verb.COMMIT, 1, old)


def an_old_call_back(server: Guarded) -> None:
    """The word that opens the gate is delayed, and arrives once the pod is drained in a later epoch."""
    _acknowledged(server)
    for verb, epoch in ((Verb.CANCEL, 2), (Verb.MARK, 3), (Verb.CLOSE, 3)):
        _ordered(server, verb, epoch, server.seen(NOW)[0])
    _ordered(server, Verb.COMMIT, 3, server.seen(NOW)[0])
    server.agents[ONE].told(Verb.CANCEL, 2)
    server.agents[ONE].start()


def a_late_eviction(server: Guarded) -> None:
    """An eviction was allowed while the pod was drained, and is carried out when it is wanted back and works."""
    _ordered(server, Verb.COMMIT, 1, _acknowledged(server))
    server.check_eviction(ONE)
    with suppress(RefusedError):
        server.revert(ONE)
    server.agents[ONE].start()
    server.evict(ONE)


ONE: Final = "pod-1"
LONG: Final[Mapping[Missing, Callable[[Guarded], None]]] = {
    Missing.EPOCH_AT_THE_COMMIT: an_old_commit,
    Missing.EPOCH_AT_THE_AGENT: an_old_call_back,
    Missing.ONE_WAY: a_late_eviction,
}


def _acknowledged(server: Guarded) -> Pod:
    """The pod as a leader knows it that has marked it, and has heard it say that it is idle behind its gate."""
    for verb in (Verb.MARK, Verb.CLOSE):
        _ordered(server, verb, 1, server.seen(NOW)[0])
    return server.seen(NOW)[0]


def _ordered(server: Guarded, verb: Verb, epoch: int, believed: Pod) -> None:
    with suppress(RefusedError):
        server.order(Order(verb, ONE, epoch), believed)


def lost(missing: Missing, story: Callable[[Guarded], None]) -> bool:
    """Whether a task is lost where this is missing, if whoever may delete pods does so at the end."""
    server = Guarded(replicas=1, missing=missing)
    server.fill(NOW)
    story(server)
    with suppress(RefusedError, KeyError):
        server.delete(ONE)
    return bool(server.lost)


@pytest.mark.parametrize("missing", LONG, ids=lambda missing: missing.name)
def test_with_all_safeguards_the_long_way_loses_nothing(missing: Missing) -> None:
    """It is refused, or does nothing, somewhere on the way."""
    assert not lost(Missing.NOTHING, LONG[missing])


@pytest.mark.parametrize("missing", LONG, ids=lambda missing: missing.name)
def test_without_its_safeguard_the_long_way_loses_a_task(missing: Missing) -> None:
    """It is there for this."""
    assert lost(missing, LONG[missing])
