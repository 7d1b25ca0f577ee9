"""Many runs side by side: every policy on the same arrivals, seed by seed, on as many cores as there are."""

from __future__ import annotations

import math
import multiprocessing
import signal
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from multiprocessing.context import SpawnContext, SpawnProcess
from types import MappingProxyType
from typing import Final, TypeAlias

from scipy.special import stdtrit

from scaler.core.types import Seconds
from scaler.sim.history import History
from scaler.sim.match import Match, Played, Row, limits_of, play
from scaler.sim.optimum.limits import Limits
from scaler.sim.optimum.program import NoLimitError
from scaler.sim.ours import OurKnobs
from scaler.sim.peers.sight import Knobs
from scaler.sim.scenario import OURS, Scenario
from scaler.sim.score_waits import kept

Figure: TypeAlias = "float | None"
TOLD: Final = (
    *("tasks", "unfinished", "killed", "wait_p50_s", "wait_p95_s", "wait_p99_s", "pod_hours", "price"),
    *("quick_reversals_per_hour", "wasted_starts", "pods_peak", "money"),
    *("opt_zero_wait", "opt_w", "opt_blind", "price_over_opt_w", "price_over_opt_blind", "hours_at_target"),
)
CONFIDENCE: Final = 0.95
NO_KNOBS: Final[Mapping[str, Knobs | OurKnobs]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class _Limit:
    """The question what the best possible costs."""

    scenario: Scenario
    seed: int


@dataclass(frozen=True, slots=True)
class NoLimit:
    """Why it is not known what the best possible costs on a seed; the runs stand without it."""

    seed: int
    why: str


Job: TypeAlias = Match | _Limit
Answer: TypeAlias = Played | Limits | NoLimit


def jobs(
    scenario: Scenario, *, limits: bool, drawn: bool = False, knobs: Mapping[str, Knobs | OurKnobs] = NO_KNOBS
) -> list[Job]:
    """All that is to be worked out: each policy on each seed, and the limits of each seed, the longest first.

    ``knobs`` are those of policies that shall not play as they are shipped, by name.
    """
    seeds = range(1, scenario.seeds + 1)
    asked = [_Limit(scenario, seed) for seed in seeds] if limits else []
    return [
        *asked,
        *(
            Match(scenario=scenario, policy=p, seed=s, knobs=knobs.get(p), drawn=drawn and s == 1)
            for p in scenario.policies
            for s in seeds
        ),
    ]


class _Worker(SpawnProcess):
    """A process that hears no interrupt, not even while it starts: a terminal sends them one too, and it is ours."""

    def start(self) -> None:
        """Start with interrupts held back, which a process has from whoever starts it."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            super().start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Fresh(SpawnContext):
    Process = _Worker


@contextmanager
def cores(count: int) -> Iterator[Executor | None]:
    """So many processes to work on; None, which is this one, for a single one.

    They are fresh, not copies of this process: what it has read and which threads it runs are no part of an answer.
    Where it is broken off they end at once, and say nothing.
    """
    if count == 1:
        yield None
        return
    with ProcessPoolExecutor(count, _Fresh()) as pool:
        try:
            yield pool
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in multiprocessing.active_children():
                process.terminate()
            raise


def work_out(todo: Sequence[Job], executor: Executor | None, *, told: Callable[[], None]) -> list[Answer]:
    """The answers in the order of the questions, whichever was found first; ``told`` is called as each is found.

    Raises:
        ValueError: a scenario cannot be run.
    """
    if executor is None:
        return [_noted(answer(job), told) for job in todo]
    asked = [executor.submit(answer, job) for job in todo]
    for found in as_completed(asked):
        _noted(found.result(), told)
    return [found.result() for found in asked]


def answer(job: Job) -> Answer:
    """Work one out."""
    if isinstance(job, Match):
        return play(job)
    try:
        return limits_of(job.scenario, job.seed)
    except NoLimitError as error:
        return NoLimit(job.seed, str(error))


def rows(todo: Sequence[Job], answers: Iterable[Answer]) -> list[Row]:
    """The row of every run, with the limits of its seed beside it."""
    pairs = list(zip(todo, answers, strict=True))
    limits = {job.seed: found for job, found in pairs if isinstance(found, Limits)}
    return [
        _beside(found, limits.get(job.seed), job.scenario.target_wait)
        for job, found in pairs
        if isinstance(found, Played)
    ]


def histories(answers: Iterable[Answer]) -> dict[str, History]:
    """What was kept of runs, by policy."""
    kept = (found for found in answers if isinstance(found, Played))
    return {found.row.policy: found.history for found in kept if found.history is not None}


def summary(scenario: Scenario, found: Sequence[Row]) -> dict[str, object]:
    """Means over the seeds, and ours against each peer in pairs: what the same arrivals cost with either."""
    ours = [row for row in found if row.policy == OURS]
    peers = {name: [row for row in found if row.policy == name] for name in scenario.policies}
    return {
        "question": scenario.question.strip(),
        "seeds": scenario.seeds,
        "wait_price": scenario.wait_price,
        "target_wait_s": scenario.target_wait,
        "policies": {name: _means(of) for name, of in peers.items()},
        "paired": {name: _paired(ours, of) for name, of in peers.items() if ours and name != OURS},
    }


def lies(found: Iterable[Row]) -> Iterator[str]:
    """A line for each run in which tasks were never done: who does not serve waits for less than it should."""
    for row in found:
        if row.unfinished:
            left = "1 task was" if row.unfinished == 1 else f"{row.unfinished} tasks were"
            yield f"{row.policy}, seed {row.seed}: {left} never done; its figures lie"


def means_of(seeds: int) -> str:
    """What figures of so many runs are."""
    return "One run" if seeds == 1 else f"Means of {seeds} runs"


def interval(values: Sequence[float]) -> dict[str, Figure]:
    """The mean, and the bounds of its 95 % confidence interval by Student's t; None where one value bounds nothing.

    Of no value there is nothing to tell.
    """
    if not values:
        return {"mean": None, "low": None, "high": None}
    mean = math.fsum(values) / len(values)
    if len(values) == 1:
        return {"mean": round(mean, 4), "low": None, "high": None}
    t = float(stdtrit(len(values) - 1, 0.5 + CONFIDENCE / 2))
    half = t * statistics.stdev(values) / math.sqrt(len(values))
    return {"mean": round(mean, 4), "low": round(mean - half, 4), "high": round(mean + half, 4)}


def _noted(found: Answer, told: Callable[[], None]) -> Answer:
    told()
    return found


def _beside(found: Played, limits: Limits | None, target: Seconds) -> Row:
    row = found.row
    if limits is None:
        return row
    return replace(
        row,
        opt_zero_wait=round(limits.zero_wait.least, 3),
        opt_w=round(limits.priced, 3),
        opt_blind=round(limits.blind, 3),
        price_over_opt_w=_ratio(row.price, limits.priced),
        price_over_opt_blind=_ratio(row.price, limits.blind),
        hours_at_target=round(kept(found.hours, target, best=limits.blind_p95).share, 4),
    )


def _ratio(price: float, limit: float) -> Figure:
    return round(price / limit, 4) if limit > 0 else None


def _means(found: Sequence[Row]) -> dict[str, Figure]:
    columns: Mapping[str, list[Figure]] = {name: [asdict(row)[name] for row in found] for name in TOLD}
    most = max((row.pods_peak for row in found), default=0)  # what has to hold every run
    return {name: _mean(values) for name, values in columns.items()} | {"pods_peak": most}


def _mean(values: Iterable[Figure]) -> Figure:
    known = [value for value in values if value is not None]
    return round(math.fsum(known) / len(known), 4) if known else None


def _paired(ours: Sequence[Row], theirs: Sequence[Row]) -> dict[str, dict[str, Figure]]:
    """By how much ours is above the peer, as a share of the peer's figure; waits as they are, in seconds.

    A figure of zero has no share: that seed does not count.
    """
    return {
        "price": interval([a.price / b.price - 1.0 for a, b in _pairs(ours, theirs) if b.price]),
        "pod_hours": interval([a.pod_hours / b.pod_hours - 1.0 for a, b in _pairs(ours, theirs) if b.pod_hours]),
        "wait_p95_s": interval([a.wait_p95_s - b.wait_p95_s for a, b in _pairs(ours, theirs)]),
    }


def _pairs(ours: Sequence[Row], theirs: Sequence[Row]) -> Iterator[tuple[Row, Row]]:
    by_seed = {row.seed: row for row in theirs}
    return ((row, by_seed[row.seed]) for row in ours)
