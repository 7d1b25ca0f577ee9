"""What a scenario comes to: its tasks, and the world for whoever scales it."""

from __future__ import annotations

import functools
import math
from pathlib import Path
from typing import Final

import numpy as np

from scaler.core.types import Instant, Seconds
from scaler.sim.compose import Fanout, Recipe, Talk, compose
from scaler.sim.dispatch import Serving
from scaler.sim.durations import Distribution, durations, startup
from scaler.sim.nodes import Supplying
from scaler.sim.peers.sight import Knobs, Leaving, Pool
from scaler.sim.pool import GRACE, Setting
from scaler.sim.scenario import FanoutSection, Scenario
from scaler.sim.traces import LEAST, Curve, Trace, read_rate, read_trace
from scaler.sim.workload import Tasks
from scaler.sim.world import World

START: Final[Instant] = 1_767_571_200.0  # a Monday, 2026-01-05 00:00 UTC


def tasks(scenario: Scenario, seed: int) -> Tasks:
    """What comes in this run.

    Raises:
        ValueError: the scenario does not say enough, or a file cannot be read.
    """
    return compose(_recipe(scenario), start=START, seed=seed)


def lasts(scenario: Scenario) -> Seconds:
    """Seconds in which tasks arrive."""
    return _recipe(scenario).ends


def world(scenario: Scenario, work: Tasks, knobs: Knobs | None, seed: int, *, guarded: bool = True) -> World:
    """The world for a peer with these knobs, or for ours where there are none: there, pods can be ``guarded``.

    It begins with its fewest replicas, as a pool does whoever scales it; Jobs begin with their tasks.
    """
    leaving = Leaving.BY_RANK if knobs is None else knobs.leaving
    once = leaving is Leaving.AFTER_TASK
    hold = scenario.sessions.hold if scenario.sessions is not None else 0.0
    setting = Setting(
        guarded=knobs is None and guarded,
        serving=Serving(
            slots=1 if once else scenario.slots, dispatch=scenario.dispatch, once=once, hold=0.0 if once else hold
        ),
        ordinals=scenario.workload != "ReplicaSet" and not once,
        parallel=scenario.workload == "StatefulSet, Parallel",
        startup=startup(scenario.startup),
        nodes=_nodes(scenario),
        grace=GRACE if knobs is None else knobs.grace,
        idle_only=leaving is Leaving.WHEN_IDLE,
        blind=scenario.blind,
        quota=scenario.quota,
    )
    made = World(setting, work, start=START, seed=seed)
    if not once:
        made.scale(scenario.min)
    return made


def pool(scenario: Scenario) -> Pool:
    """The pool as a peer is told of it."""
    return Pool(slots=scenario.slots, low=scenario.min, high=scenario.max)


def _nodes(scenario: Scenario) -> int | Supplying:
    nodes = scenario.nodes
    if nodes is None:
        return 8
    return Supplying(room=nodes.room, delay=startup(nodes.delay), reclaimed=nodes.reclaimed, notice=nodes.notice)


def _recipe(scenario: Scenario) -> Recipe:
    fanout, sessions = scenario.fanout, scenario.sessions
    return Recipe(
        arrivals=_arrivals(scenario),
        begins=scenario.begins or 0.0,
        lasts=scenario.lasts,
        bursts=scenario.bursts,
        thin=scenario.thin,
        stretch=scenario.stretch,
        lengths=None if scenario.durations is None else _durations(scenario.durations),
        longest=math.inf if scenario.longest is None else scenario.longest,
        fanout=None if fanout is None else _fanout(fanout),
        talk=None if sessions is None else Talk(follows=sessions.follows, pause=_durations(sessions.pause)),
    )


def _fanout(fanout: FanoutSection) -> Fanout:
    return Fanout(share=fanout.share, children=fanout.children, lengths=_durations(fanout.durations))


def _arrivals(scenario: Scenario) -> Trace | Curve:
    if (scenario.trace is None) == (scenario.rate is None):
        raise ValueError(
            "work comes from one place: give a trace of arrivals (--trace), a rate (--rate) or a journal (--journal)"
        )
    if isinstance(scenario.trace, Path):
        return trace_of(scenario.trace)
    if scenario.trace is not None:
        came, seconds = np.array(sorted(scenario.trace), dtype=np.float64).reshape(-1, 2).T
        return Trace(arrived_at=came, seconds=np.maximum(seconds, LEAST))
    if isinstance(scenario.rate, Path):
        return _rate(scenario.rate)
    return scenario.rate or ()


# A scenario is run many times in one process, and its files are the same each time.
trace_of = functools.lru_cache(maxsize=4)(read_trace)
_rate = functools.lru_cache(maxsize=4)(read_rate)


@functools.lru_cache(maxsize=16)
def _durations(text: str) -> Distribution:
    return durations(text, Path())
