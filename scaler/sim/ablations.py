"""Ours with one part taken out, to see what each part is worth: policies by name, like ``ours-no-gate``.

They are for the simulator alone. What is left of a part that is out is the plainest thing that could stand there. The
forecast's place is also taken by somebody who knows: ``ours-foretold`` says what hints would be worth.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

from scaler.core.policy import Guarantee, Pace, Policy
from scaler.core.tick import tick
from scaler.core.types import Seconds
from scaler.sim.dispatch import Dispatch
from scaler.sim.run import Decide
from scaler.sim.unaware import unaware

NEVER: Final = 1e9
HPA_WINDOW: Final[Seconds] = 300.0
Change: TypeAlias = Callable[[Policy, Seconds], Policy]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ablation:
    """What is other than in ours.

    Attributes:
        policy: ours, made from the policy and the usual startup, which is its median.
        decide: what decides.
        told: whether that is told what comes within a startup.
        guarded: whether pods are drained before they go.
        dispatch: how a task finds its slot, None as the scenario says.
    """

    policy: Change = lambda policy, _: policy
    decide: Decide = tick
    told: bool = False
    guarded: bool = True
    dispatch: Dispatch | None = None


def _paced(**changes: Any) -> Change:  # noqa: ANN401 - whatever the fields of Pace take
    return lambda policy, _: replace(policy, pace=replace(policy.pace, **changes))


def _for_five_minutes(policy: Policy, startup: Seconds) -> Policy:
    """An idle pod is kept for the HPA's window, whatever was learnt."""
    prior = HPA_WINDOW / (startup + policy.pace.drain_overhead)
    return replace(policy, pace=replace(policy.pace, timer_prior=prior, gaps_enough=int(NEVER)))


def _undrained(policy: Policy, _: Seconds) -> Policy:
    return replace(policy, guarantee=Guarantee.BEST_EFFORT)


ABLATIONS: Final[Mapping[str, Ablation]] = {
    "ours-no-forecast": Ablation(policy=_paced(forecast_gate=-1.0)),  # nothing is ordered ahead
    "ours-foretold": Ablation(policy=_paced(forecast_gate=-1.0, hint_share=1.0), told=True),  # nor is anything guessed
    "ours-no-gate": Ablation(policy=_paced(forecast_gate=NEVER, forecast_trials=1)),  # earned or not, it is used
    "ours-no-trend": Ablation(policy=_paced(trend_window=0.0)),  # a burst is not expected to go on
    "ours-no-ramp": Ablation(policy=_paced(ramp_steps=0)),  # nothing is expected before it is proven
    "ours-no-quantile": Ablation(policy=_paced(wait_price=1.0, wait_price_high=1.0)),  # the median of the rise
    "ours-timer-break-even": Ablation(policy=_paced(timer_clamp=1.0, timer_prior=1.0)),
    "ours-timer-300s": Ablation(policy=_for_five_minutes),
    "ours-no-pending": Ablation(decide=unaware),  # what starts is not counted, and asked for again
    "ours-no-band": Ablation(policy=_paced(namings=1, slow_window=Pace().fast_window, tolerance=0.0)),
    "ours-no-flap-budget": Ablation(policy=_paced(flap_budget=int(NEVER))),
    "ours-no-drain": Ablation(policy=_undrained, guarded=False),  # the target falls, and the ReplicaSet picks
    "ours-latest-idle-first": Ablation(dispatch=Dispatch.LATEST),
    "ours-lowest-ordinal-first": Ablation(dispatch=Dispatch.LOWEST),
}
