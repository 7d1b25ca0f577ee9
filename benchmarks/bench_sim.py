"""Tasks per second and core of the simulated world, and how long a week of a pool takes with the real decision.

The reference of the world is SimPy's bare queue, which has servers and nothing else: no pods, no startup, no scrapes,
no KEDA, no drains. That of a week is how long SimPy's queue takes with the same tasks, and with nobody who decides.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from time import process_time
from typing import Final

import numpy as np

from benchmarks import Goal, Result
from scaler.core.policy import Policy
from scaler.core.types import Signal
from scaler.sim.compose import Recipe, compose
from scaler.sim.dispatch import Serving
from scaler.sim.nodes import Supplying
from scaler.sim.peers.catalogue import PEERS
from scaler.sim.peers.sight import Pool as Told
from scaler.sim.pool import Setting
from scaler.sim.run import Ours, Peer
from scaler.sim.sight import Sight
from scaler.sim.workload import Lognormal, Tasks
from scaler.sim.world import World
from tests.support.queues import waits_in_simpy

START: Final = 1_767_571_200.0
LENGTH: Final = 10.0
USE: Final = 0.8
SIZES: Final = {60: 200_000, 4_000: 200_000}  # servers, tasks
TIMES: Final = 3
WEEK: Final = 7 * 86_400.0
SECONDS: Final = {70: 30.0, 900: 120.0}  # goals by a demand whose bursts ask for about a hundred, and a thousand pods
LENGTHS: Final = Lognormal(math.log(200.0), 0.8, "agents of some minutes")
SIGNALS: Final = frozenset({Signal.QUEUE, Signal.OLDEST_WAIT, Signal.WAIT_P95})


def arrivals(servers: int, count: int) -> Tasks:
    """Poisson arrivals, exponential lengths, one task in ten in a session."""
    rng = np.random.default_rng(servers)
    at = 600.0 + np.cumsum(rng.exponential(LENGTH / (servers * USE), count))
    session = np.where(rng.random(count) < 0.1, rng.integers(0, count // 10, count), -1)
    return Tasks.of(at, rng.exponential(LENGTH, count), tokens=17.0, session=session)


def asleep(tasks: Tasks, servers: int) -> World:
    """Every mechanism on, and nobody who scales: a fixed size under KEDA's polls and the HPA's syncs."""
    setting = Setting(guarded=True, serving=Serving(hold=5.0), nodes=Supplying(room=8))
    world = World(setting, tasks, start=0.0, seed=1)
    Sight(world, Signal)
    Peer(world, PEERS["fixed"], Told(low=servers, high=servers)).run(600.0)
    return world


def world_rate(tasks: Tasks, servers: int) -> float:
    """Tasks per second of the world."""
    world = asleep(tasks, servers)
    hpa = Peer(world, PEERS["hpa"], Told(low=servers, high=servers))
    began = process_time()
    hpa.run(float(tasks.arrived_at[-1]))
    return len(tasks) / (process_time() - began)


def simpy_rate(tasks: Tasks, servers: int) -> float:
    """Tasks per second of SimPy's bare queue, on a third of them."""
    part = len(tasks) // 3
    at, lengths = tasks.arrived_at[:part].tolist(), tasks.seconds[:part].tolist()
    began = process_time()
    waits_in_simpy(at, lengths, servers)
    return part / (process_time() - began)


def week_of(peak: int) -> Tasks:
    """A week of days and nights: demand between a tenth and eighty per cent of the peak, in bursts."""
    noons = np.arange(0.0, WEEK + 1.0, 3600.0)
    demand = peak * (0.45 - 0.35 * np.cos(2.0 * np.pi * noons / 86_400.0))
    mean = math.exp(LENGTHS.mu + LENGTHS.sigma**2 / 2.0)
    curve = tuple(zip(noons.tolist(), (60.0 * demand / mean).tolist(), strict=True))
    return compose(Recipe(arrivals=curve, bursts=4.0, lengths=LENGTHS), start=START, seed=1)


def week(tasks: Tasks, peak: int) -> tuple[float, int]:
    """Seconds that a week takes under the real decision, and the most replicas that were asked for."""
    world = World(Setting(guarded=True), tasks, start=START, seed=1)
    run = Ours(world, Policy(max_replicas=2 * peak), SIGNALS)
    began = process_time()
    run.run(START + WEEK)
    return process_time() - began, max(replicas for _, replicas in world.scaled)


def run() -> Iterable[Result]:
    """Measure both."""
    for servers, count in SIZES.items():
        tasks = arrivals(servers, count)
        pairs = [(world_rate(tasks, servers), simpy_rate(tasks, servers)) for _ in range(TIMES)]
        figure, reference = (statistics.median(column) for column in zip(*pairs, strict=True))
        goal = Goal("ratio", ">=", 5.0)
        yield Result(name=f"sim_{servers}_slots", figure=figure, unit="tasks/s", reference=reference, goal=goal)
    for peak, most in SECONDS.items():
        tasks = week_of(peak)
        took, pods = week(tasks, peak)
        reference = len(tasks) / simpy_rate(tasks, peak)
        name = f"sim_week_peak_{pods}_pods"
        yield Result(name=name, figure=took, unit="s", reference=reference, goal=Goal("figure", "<=", most))
