"""The core's drain protocol against everything at once: leaders of every age, agents, the HPA, evictions, restarts.

Hypothesis chooses who acts next. Leaders decide with the core's own functions on what they saw, which may be old, and
their orders are carried out at any time after, or never.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import numpy as np
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
from scaler.core.types import Order
from tests.core.pool import NOW, given, observe
from tests.model.guarded import Guarded, RefusedError

POLICY: Final = Policy()
ANY: Final = st.integers(min_value=0, max_value=11)
LEADERS: Final = 3


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

    def __init__(self) -> None:
        super().__init__()
        self.server = Guarded()
        self.leaders = [Leader() for _ in range(LEADERS)]

    @initialize(count=st.integers(min_value=1, max_value=6))
    def begin(self, count: int) -> None:
        """A pool of so many."""
        self.server.replicas = count
        self.server.fill(NOW)

    # --- agents -----------------------------------------------------------------------------------------------------

    @rule(which=ANY)
    def start(self, which: int) -> None:
        """An agent begins a task, if its gate is open."""
        if uids := list(self.server.agents):
            self.server.agents[uids[which % len(uids)]].start()

    @rule(which=ANY)
    def finish(self, which: int) -> None:
        """An agent ends one."""
        if uids := [uid for uid, agent in self.server.agents.items() if agent.running]:
            self.server.agents[uids[which % len(uids)]].finish()

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
        self.leaders[who].orders += drain.delete(fleet, drain.released(fleet, len(fleet.pods)), spare=spare)

    @rule(who=st.integers(min_value=0, max_value=LEADERS - 1), which=ANY, forget=st.booleans())
    def carry_out(self, who: int, which: int, *, forget: bool) -> None:
        """One of its orders is carried out, and may be once more later."""
        leader = self.leaders[who]
        if leader.orders:
            order = leader.orders[which % len(leader.orders)]
            if forget:
                leader.orders.remove(order)
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

    @rule(replicas=st.integers(min_value=0, max_value=8))
    def scale(self, replicas: int) -> None:
        """The HPA, KEDA or a person sets the replicas, and the ReplicaSet starts what is missing."""
        self.server.replicas = replicas
        self.server.fill(NOW)

    @rule(which=ANY)
    def shrink(self, which: int) -> None:
        """The ReplicaSet has too many, and takes one by its own ranking, which is nobody's business."""
        uids = list(self.server.pods)
        if len(uids) > self.server.replicas:
            with suppress(RefusedError):
                self.server.delete(uids[which % len(uids)])

    @rule(which=ANY)
    def check_eviction(self, which: int) -> None:
        """A node is drained: the budget is asked."""
        if uids := list(self.server.pods):
            with suppress(RefusedError):
                self.server.check_eviction(uids[which % len(uids)])

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
        return going + drain.delete(fleet, drain.released(fleet, len(fleet.pods)), spare=0)


def test_in_any_order_no_task_is_lost() -> None:
    """And every drain ends."""
    run_state_machine_as_test(AnyOrder, settings=settings(max_examples=400, stateful_step_count=60))
