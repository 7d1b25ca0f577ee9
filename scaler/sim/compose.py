"""Work put together from what is known of it: when it comes, how long it takes, how it branches and goes on.

Everything follows from one seed. Arrivals do not depend on how the pool is scaled, so every autoscaler meets the same.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from scaler.core.pods import Floats, Ints
from scaler.core.types import Instant, Seconds
from scaler.sim.durations import Distribution
from scaler.sim.traces import Curve, Trace
from scaler.sim.workload import BIN, GAP, NO_SESSION, SUBAGENT, TOKENS, Tasks, mixed

LONGEST: Final[Seconds] = 366 * 86_400.0  # that a run goes through, tick by tick
MOST: Final = 20_000_000  # tasks that a run holds
ROUNDING: Final[Seconds] = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Fanout:
    """Tasks that let others do part of their work.

    Attributes:
        share: of tasks that fan out, once, at some moment of their run.
        children: how many they start at once, on average: 1 and a geometric number more.
        lengths: how long a child takes.
    """

    share: float
    children: float
    lengths: Distribution = SUBAGENT


@dataclass(frozen=True, slots=True, kw_only=True)
class Talk:
    """Tasks that go on: the next of the session comes a pause after the one before would have ended unwaited.

    Attributes:
        follows: probability that there is a next one.
        pause: seconds in between.
    """

    follows: float
    pause: Distribution = GAP


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What work is composed of.

    Attributes:
        arrivals: a trace, or a curve of (seconds, tasks per minute) that is straight in between and begins with its
            first point.
        begins: seconds of it that are left out at first.
        lasts: seconds of it that are used then, what follows from the arrivals included; None for all that is left.
        bursts: variance over mean of a curve's arrivals in 60 s; 1 is Poisson.
        thin: share of a trace's arrivals that are kept, each by chance, or that a curve is multiplied by.
        stretch: times that a trace takes longer than it did.
        lengths: how long tasks take, where the trace does not say or shall not decide.
        longest: seconds at which a task gives up.
        tokens: tokens per second that a task streams while it runs, where the trace does not say.
    """

    arrivals: Trace | Curve
    begins: Seconds = 0.0
    lasts: Seconds | None = None
    bursts: float = 1.0
    thin: float = 1.0
    stretch: float = 1.0
    lengths: Distribution | None = None
    longest: Seconds = math.inf
    tokens: Distribution = TOKENS
    fanout: Fanout | None = None
    talk: Talk | None = None

    def __post_init__(self) -> None:
        """Refuse what would change nothing where these arrivals come from.

        Raises:
            ValueError: it is no share of a trace, or is read beside the other kind of arrivals alone.
        """
        traced = isinstance(self.arrivals, Trace)
        if traced and self.thin > 1:
            raise ValueError(f"thin = {self.thin:g} is no share of a trace's arrivals: must be above 0 and at most 1")
        if traced and self.bursts != 1:
            raise ValueError(
                f"bursts = {self.bursts:g} is for a curve; a trace has the bursts that it has: leave it out, or set 1"
            )
        if not traced and self.stretch != 1:
            raise ValueError(
                f"stretch = {self.stretch:g} is for a trace: write the curve's times as they shall be, and leave it "
                "out, or set 1"
            )

    @property
    def ends(self) -> Seconds:
        """Seconds from the start after which nothing comes."""
        return self.length - self.begins if self.lasts is None else self.lasts

    @property
    def length(self) -> Seconds:
        """Seconds that the arrivals take in all."""
        if isinstance(self.arrivals, Trace):
            return float(self.arrivals.arrived_at[-1]) * self.stretch
        return self.arrivals[-1][0] - self.arrivals[0][0]


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """Some of the tasks, as columns."""

    at: Floats
    seconds: Floats
    tokens: Floats
    session: Ints

    def columns(self) -> tuple[Floats, Floats, Floats, Ints]:
        return self.at, self.seconds, self.tokens, self.session


def compose(recipe: Recipe, *, start: Instant, seed: int) -> Tasks:
    """The tasks of one run.

    Raises:
        ValueError: there is no saying how long a task takes, or too long for any run, the arrivals do not go so far, or
            nothing is left of them.
    """
    _check(recipe)
    rng = np.random.default_rng(seed)
    arrivals = recipe.arrivals
    first = _of_trace(recipe, arrivals, rng) if isinstance(arrivals, Trace) else _of_curve(recipe, arrivals, rng)
    if not np.any(first.at <= recipe.ends):
        raise ValueError(f"nothing comes with seed {seed}: {_nothing(recipe)}")
    parts = [first]
    if recipe.fanout is not None:
        parts.append(_children(recipe, recipe.fanout, first, rng))
    if recipe.talk is not None:
        parts[0] = replace(first, session=np.arange(len(first.at), dtype=np.int64))
        parts += _followers(recipe, recipe.talk, parts[0], rng)
    at, seconds, tokens, session = map(np.concatenate, zip(*(part.columns() for part in parts), strict=True))
    seconds = np.minimum(seconds, recipe.longest)
    if (most := float(seconds.max())) > LONGEST:
        raise ValueError(
            f"a task takes {most:g} s, and a run goes on for {LONGEST:g} s at most, which is a year: set longest, or "
            "look for a duration that is in another unit than seconds"
        )
    at = _in_turn(at, seconds, session)
    within = np.flatnonzero(at <= recipe.ends)
    rows = within[np.argsort(at[within], kind="stable")]
    return Tasks.of(start + at[rows], seconds[rows], tokens=tokens[rows], session=session[rows])


def _check(recipe: Recipe) -> None:
    """Refuse spans that the arrivals do not have, or that no run gets through.

    Raises:
        ValueError: says how long they are.
    """
    begins, length, curve = recipe.begins, recipe.length, not isinstance(recipe.arrivals, Trace)
    if begins > length or (curve and begins == length):  # a batch comes at one moment, and of a curve then nothing
        raise ValueError(
            f"begins = {begins:g} s leaves nothing of the arrivals: begin earlier than {length:g} s, where they end"
        )
    if curve and begins + recipe.ends > length + ROUNDING:
        left = f"{length - begins:g} s from begins = {begins:g} s on" if begins else f"{length:g} s"
        raise ValueError(
            f"lasts = {recipe.ends:g} s is more than the curve has, {left}: let it last less, or give a longer one"
        )
    if recipe.ends > LONGEST:
        raise ValueError(
            f"arrivals go on for {recipe.ends:g} s, and a run for {LONGEST:g} s at most, which is a year: set lasts, "
            "or look for an instant that is in another unit than seconds"
        )


def _nothing(recipe: Recipe) -> str:
    """Why nothing comes, and the way out."""
    span = f"from {recipe.begins:g} s to {recipe.begins + recipe.ends:g} s of {recipe.length:g} s"
    elsewhere = "begin elsewhere, or let it last longer (begins, lasts)"
    if isinstance(recipe.arrivals, Trace):
        at = recipe.arrivals.arrived_at * recipe.stretch - recipe.begins
        inside = np.count_nonzero((at >= 0.0) & (at <= recipe.ends))
        thinned = f"thin = {recipe.thin:g} keeps none of the {inside} there are {span}: keep more"
        return thinned if inside else f"the trace has no task {span}; {elsewhere}"
    if mean := float(expected(recipe, recipe.arrivals, BIN).sum() * BIN):
        return f"there are {mean:.2g} tasks on average {span}: raise the rate or thin = {recipe.thin:g}, or {elsewhere}"
    return f"the rate is 0 {span}; {elsewhere}"


def _in_turn(at: Floats, seconds: Floats, session: Ints) -> Floats:
    """Arrivals with those of a session put off until the task before it could have ended.

    It would have to stand behind that one whoever scales, and no more pods would help, so that is no waiting.
    """
    put_off, free_at = at.copy(), dict[int, float]()
    talking = np.flatnonzero(session != NO_SESSION)
    for row in talking[np.argsort(at[talking], kind="stable")].tolist():
        talk = int(session[row])
        put_off[row] = max(float(at[row]), free_at.get(talk, 0.0))
        free_at[talk] = float(put_off[row] + seconds[row])
    return put_off


def _of_trace(recipe: Recipe, trace: Trace, rng: np.random.Generator) -> _Part:
    at = trace.arrived_at * recipe.stretch - recipe.begins
    kept = np.flatnonzero((rng.random(len(at)) < recipe.thin) & (at >= 0.0))
    seconds = _lengths(recipe, len(kept), rng) if recipe.lengths or trace.seconds is None else trace.seconds[kept]
    whole = recipe.tokens.draw(rng, len(kept)) if trace.tokens is None else trace.tokens[kept] / seconds
    session = np.full(len(kept), NO_SESSION) if trace.session is None else trace.session[kept]
    return _Part(at[kept], seconds, whole, session)


def expected(recipe: Recipe, curve: Curve, step: Seconds) -> Floats:
    """How many tasks a second the curve has come, in each step from the start on; shape (steps,)."""
    middles = curve[0][0] + recipe.begins + (np.arange(math.ceil(recipe.ends / step)) + 0.5) * step
    per_minute: Floats = np.interp(middles, [at for at, _ in curve], [rate for _, rate in curve])
    return per_minute * (recipe.thin / 60.0)


def _of_curve(recipe: Recipe, curve: Curve, rng: np.random.Generator) -> _Part:
    mean = expected(recipe, curve, BIN) * BIN
    if (tasks := float(mean.sum())) > MOST:
        raise ValueError(f"the rate comes to {tasks:.3g} tasks, and a run holds {MOST:,}: lower it, or thin it")
    at = mixed(rng, mean, bursts=recipe.bursts)
    at = at[at <= recipe.ends]
    return _part(recipe, at, _lengths(recipe, len(at), rng), rng)


def _lengths(recipe: Recipe, count: int, rng: np.random.Generator) -> Floats:
    if recipe.lengths is None:
        raise ValueError(
            "nothing says how long a task takes: have a column duration_s in the trace, or give --durations, a file "
            "that has one or lognormal:MU,SIGMA of seconds, like lognormal:5.49,1.54"
        )
    return recipe.lengths.draw(rng, count)


def _children(recipe: Recipe, fanout: Fanout, parents: _Part, rng: np.random.Generator) -> _Part:
    """Each parent's children come together, at a moment of its run."""
    spread = np.flatnonzero(rng.random(len(parents.at)) < fanout.share)
    if (tasks := len(spread) * fanout.children) > MOST:
        raise ValueError(
            f"fanout.children = {fanout.children:g} comes to {tasks:.3g} tasks, and a run holds {MOST:,}: ask for fewer"
        )
    moments = parents.at[spread] + rng.random(len(spread)) * parents.seconds[spread]
    at = np.repeat(moments, rng.geometric(1.0 / fanout.children, len(spread)))
    return _part(recipe, at, fanout.lengths.draw(rng, len(at)), rng)


def _followers(recipe: Recipe, talk: Talk, last: _Part, rng: np.random.Generator) -> Iterator[_Part]:
    """The second task of each session that has one, then the third, and so on."""
    while len(last.at):
        goes_on = rng.random(len(last.at)) < talk.follows
        at = (last.at + np.minimum(last.seconds, recipe.longest))[goes_on]
        at = at + talk.pause.draw(rng, len(at))
        in_time = at <= recipe.ends
        at, session = at[in_time], last.session[goes_on][in_time]
        last = replace(_part(recipe, at, _lengths(recipe, len(at), rng), rng), session=session)
        yield last


def _part(recipe: Recipe, at: Floats, seconds: Floats, rng: np.random.Generator) -> _Part:
    """Tasks by themselves."""
    return _Part(at, seconds, recipe.tokens.draw(rng, len(at)), np.full(len(at), NO_SESSION))
