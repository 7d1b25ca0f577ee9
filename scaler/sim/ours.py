"""Our policy as the simulator sets it: what an operator says, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

from scaler.core.policy import Pace, Policy, Workload
from scaler.core.types import Seconds
from scaler.sim.peers.sight import Range
from scaler.sim.scenario import Scenario


@dataclass(frozen=True, slots=True, kw_only=True)
class OurKnobs:
    """What a search may move: the knobs of an operator. Everything else is a constant.

    Attributes:
        target_wait: seconds that 95 % of the tasks may wait at most.
        wait_price: what a second of waiting costs at first, in pod-seconds.
    """

    target_wait: Annotated[Seconds, Range(5.0, 300.0, log=True)] = Policy().target_wait_p95
    wait_price: Annotated[float, Range(2.0, 50.0, log=True)] = Pace().wait_price

    def policy(self, scenario: Scenario) -> Policy:
        """The policy for the pool of this scenario."""
        stateful = scenario.workload != "ReplicaSet"
        return Policy(
            min_replicas=scenario.min,
            max_replicas=scenario.max,
            target_wait_p95=self.target_wait,
            slots_per_pod=scenario.slots,
            workload=Workload.STATEFUL_SET if stateful else Workload.REPLICA_SET,
            pace=replace(
                Pace(), wait_price=self.wait_price, wait_price_high=max(self.wait_price, Pace().wait_price_high)
            ),
        )
