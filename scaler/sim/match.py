"""One policy on one run of a scenario, and its row of figures."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from scaler.core.types import Instant, Seconds, Signal
from scaler.sim import stage
from scaler.sim.ablations import ABLATIONS, Ablation
from scaler.sim.durations import startup
from scaler.sim.foretold import foretold
from scaler.sim.history import History, Recorder
from scaler.sim.optimum.case import Case
from scaler.sim.optimum.limits import Limits, limits
from scaler.sim.ours import OurKnobs
from scaler.sim.peers.catalogue import PEERS
from scaler.sim.peers.sight import Knobs
from scaler.sim.run import Ours, Peer
from scaler.sim.scenario import OURS, Scenario
from scaler.sim.score import HOUR, reversals_per_hour
from scaler.sim.score_waits import hours
from scaler.sim.workload import Tasks
from scaler.sim.world import World

SIGNALS: Final = frozenset({Signal.QUEUE, Signal.OLDEST_WAIT, Signal.WAIT_P95})
LONGER: Final[Seconds] = 86_400.0  # that a run may go on after the last arrival, until all tasks are done
STEP: Final[Seconds] = 300.0
LIMITING: Final = {  # what a limit depends on; how a pool is scaled and judged is no part of it
    *("trace", "rate", "begins", "lasts", "bursts", "thin", "stretch", "durations", "longest", "fanout", "sessions"),
    *("slots", "startup", "max", "wait_price"),
}
REMEMBERED: Final = 64  # limits: a sweep asks for each of them many times


class Runner(Protocol):
    """Who scales a world."""

    def run(self, end: Instant) -> None:
        """Go on until ``end``."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One policy, one seed.

    Attributes:
        killed: runs that were cut; each begins anew.
        wait_p50_s, wait_p95_s, wait_p99_s: seconds from arrival to the run that counts.
        price: pod-seconds + wait price x seconds waited.
        quick_reversals_per_hour: rises that were followed by a fall within twice the p90 startup.
        wasted_starts: pods that went without having run a task.
        opt_zero_wait: pod-seconds of the cheapest schedule in which nobody waits, knowing all that comes, from before
            the run on (a lower bound for several slots). Who lets tasks wait may cost less: no price is told over it.
        opt_w, opt_blind: the least price with waiting paid for, and of those who order only for what waits. These three
            are None where they were not asked for.
        hours_at_target: of the hours whose p95 wait the last of these keeps at target, the share in which it was here.
        unfinished: tasks that were not done a day after the last arrival; where there are any, nothing else counts.
        pods_peak: most replicas that were asked for at once, which is what a quota or a node group has to hold.
        money: what the pod hours cost. None where nothing says what one costs.
    """

    policy: str
    seed: int
    tasks: int
    unfinished: int
    killed: int
    wait_p50_s: float
    wait_p95_s: float
    wait_p99_s: float
    pod_hours: float
    price: float
    quick_reversals_per_hour: float
    wasted_starts: int
    opt_zero_wait: float | None = None
    opt_w: float | None = None
    opt_blind: float | None = None
    price_over_opt_w: float | None = None
    price_over_opt_blind: float | None = None
    hours_at_target: float | None = None
    pods_peak: int = 0
    money: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """Who plays which run. ``knobs`` where they are not those that are shipped; ``drawn`` keeps the history."""

    scenario: Scenario
    policy: str
    seed: int
    knobs: Knobs | OurKnobs | None = None
    drawn: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Played:
    """What came of it: the row, the p95 wait of each hour by its number, and the history where it was kept."""

    row: Row
    hours: dict[int, float]
    history: History | None


def play(match: Match) -> Played:
    """Play it to the end.

    Raises:
        ValueError: the scenario cannot be run.
    """
    scenario = match.scenario
    world, runner = _cast(match)
    recorder = Recorder(world, stage.lasts(scenario)) if match.drawn else None
    end = stage.START + stage.lasts(scenario)
    runner.run(end)
    while not world.work.done and end < stage.START + stage.lasts(scenario) + LONGER:
        end += STEP
        runner.run(end)
    at = world.work.tasks.arrived_at[: world.work.arrived] - stage.START
    history = None if recorder is None else recorder.history()
    return Played(_row(match, world), hours(at, world.work.waits()), history)


def _cast(match: Match) -> tuple[World, Runner]:
    """The world, and who scales it."""
    scenario, work = match.scenario, stage.tasks(match.scenario, match.seed)
    if match.policy in ABLATIONS:
        return _ablated(ABLATIONS[match.policy], scenario, work, match.seed)
    knobs = match.knobs or (as_asked(scenario) if match.policy == OURS else PEERS[match.policy])
    if isinstance(knobs, OurKnobs):
        world = stage.world(scenario, work, None, match.seed)
        return world, Ours(world, knobs.policy(scenario), SIGNALS)
    world = stage.world(scenario, work, knobs, match.seed)
    return world, Peer(world, knobs, stage.pool(scenario))


def _ablated(ablation: Ablation, scenario: Scenario, work: Tasks, seed: int) -> tuple[World, Runner]:
    """Ours without a part, or told what comes."""
    if ablation.dispatch is not None:
        scenario = scenario.model_copy(update={"dispatch": ablation.dispatch})
    world = stage.world(scenario, work, None, seed, guarded=ablation.guarded)
    usual = world.setting.startup.quantile(0.0)
    policy = ablation.policy(as_asked(scenario).policy(scenario), usual)
    decide = foretold(work, scenario.slots) if ablation.told else ablation.decide
    return world, Ours(world, policy, SIGNALS, decide=decide)


def as_asked(scenario: Scenario) -> OurKnobs:
    """Ours as it is shipped, with the target that is asked for."""
    return OurKnobs(target_wait=scenario.target_wait)


def limits_of(scenario: Scenario, seed: int) -> Limits:
    """What the best possible scaling of this run costs.

    Raises:
        ValueError: the scenario cannot be run.
    """
    return _limits(scenario.model_dump_json(include=LIMITING), seed)


@functools.lru_cache(maxsize=REMEMBERED)
def _limits(asked: str, seed: int) -> Limits:
    scenario = Scenario.model_validate_json(asked)
    work = stage.tasks(scenario, seed)
    at = work.arrived_at - stage.START
    case = Case(
        arrived_at=at,
        seconds=work.seconds,
        slots=scenario.slots,
        startup=startup(scenario.startup).quantile(0.0),
        wait_price=scenario.wait_price,
        end=_end(work),
        high=scenario.max if _peak(work) > scenario.max * scenario.slots else None,
    )
    return limits(case)


def _peak(work: Tasks) -> int:
    """Tasks that would run at once if none waited."""
    return int(work.standing()[1].max(initial=0))


def _end(work: Tasks) -> Seconds:
    """When all could be done."""
    return float((work.arrived_at + work.seconds).max() - stage.START) + HOUR if len(work) else HOUR


def _row(match: Match, world: World) -> Row:
    waits = world.work.waits()
    p50, p95, p99 = (float(q) for q in np.quantile(waits, (0.5, 0.95, 0.99))) if len(waits) else (0.0, 0.0, 0.0)
    return Row(
        policy=match.policy,
        seed=match.seed,
        tasks=world.work.arrived,
        unfinished=len(world.work.tasks) - world.work.finished,
        killed=world.work.killed,
        wait_p50_s=round(p50, 3),
        wait_p95_s=round(p95, 3),
        wait_p99_s=round(p99, 3),
        pod_hours=round(world.pool.seconds / HOUR, 4),
        price=round(world.pool.seconds + match.scenario.wait_price * math.fsum(waits.tolist()), 3),
        quick_reversals_per_hour=round(reversals_per_hour(world), 3),
        wasted_starts=world.pool.wasted,
        pods_peak=max((count for _, count in world.scaled), default=world.replicas),
        money=_money(match.scenario, world.pool.seconds / HOUR),
    )


def _money(scenario: Scenario, pod_hours: float) -> float | None:
    return None if scenario.pod_price_per_hour is None else round(scenario.pod_price_per_hour * pod_hours, 4)
