"""Work put together: what was asked for is what comes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from scaler.sim.compose import Fanout, Recipe, Talk, compose
from scaler.sim.durations import durations, lognormal, startup
from scaler.sim.traces import Trace
from scaler.sim.workload import NO_SESSION, Lognormal, Tasks

HOUR = 3600.0
MINUTE = Lognormal(np.log(60.0), 0.0, "every task takes a minute")
FLAT = Recipe(arrivals=((0.0, 60.0), (4 * HOUR, 60.0)), lengths=MINUTE)
TRACE = Trace(arrived_at=np.arange(0.0, 1000.0), seconds=np.full(1000, 5.0), tokens=np.full(1000, 50.0))


def composed(recipe: Recipe, seed: int = 1) -> Tasks:
    """From second zero on."""
    return compose(recipe, start=0.0, seed=seed)


def columns(tasks: Tasks) -> list[list[float]]:
    """All that a workload is."""
    return [c.tolist() for c in (tasks.arrived_at, tasks.seconds, tasks.tokens, tasks.session)]


def test_the_same_seed_composes_the_same_work() -> None:
    """To the last bit; another seed composes other work."""
    recipe = replace(FLAT, bursts=9.0, fanout=Fanout(share=0.2, children=3.0), talk=Talk(follows=0.3))
    one, same, other = (composed(recipe, seed) for seed in (4, 4, 5))
    assert columns(one) == columns(same) != columns(other)


def test_a_curve_is_followed() -> None:
    """As many as its area says, and twice as many where it is twice as high."""
    recipe = replace(FLAT, arrivals=((0.0, 0.0), (4 * HOUR, 120.0)))
    at = composed(recipe).arrived_at
    assert len(at) == pytest.approx(4 * 3600, rel=0.05)
    assert np.count_nonzero(at > 2 * HOUR) == pytest.approx(0.75 * len(at), rel=0.05)
    assert len(composed(replace(recipe, thin=0.1)).arrived_at) == pytest.approx(0.1 * len(at), rel=0.1)


@pytest.mark.parametrize("bursts", [1.0, 20.0])
def test_bursts_are_variance_over_mean(bursts: float) -> None:
    """Of counts in a minute; the mean stays."""
    at = composed(replace(FLAT, arrivals=((0.0, 60.0), (100 * HOUR, 60.0)), bursts=bursts)).arrived_at
    counts = np.histogram(at, bins=6000, range=(0.0, 100 * HOUR))[0]
    assert counts.mean() == pytest.approx(60.0, rel=0.05)
    assert counts.var() / counts.mean() == pytest.approx(bursts, rel=0.1)


def test_a_trace_is_taken_as_it_is() -> None:
    """Arrivals and lengths, and tokens per second from those of the whole task."""
    work = composed(Recipe(arrivals=TRACE))
    assert work.arrived_at.tolist() == TRACE.arrived_at.tolist()
    assert set(work.seconds) == {5.0}
    assert set(work.tokens) == {10.0}
    assert set(work.session) == {NO_SESSION}


def test_a_trace_can_be_thinned_stretched_and_given_lengths() -> None:
    """Each arrival is kept by chance; what is stretched lasts longer, and the lengths asked for count."""
    work = composed(Recipe(arrivals=TRACE, thin=0.3, stretch=24.0, lengths=MINUTE, longest=30.0))
    assert len(work) == pytest.approx(300, rel=0.2)
    assert set(work.arrived_at) <= set(24.0 * TRACE.arrived_at)
    assert set(work.seconds) == {30.0}


def test_nothing_comes_after_the_end() -> None:
    """Neither arrivals nor what follows from them."""
    recipe = Recipe(arrivals=TRACE, lasts=400.0, talk=Talk(follows=1.0, pause=MINUTE), lengths=MINUTE)
    assert composed(recipe).arrived_at.max() <= 400.0
    assert composed(replace(recipe, lasts=None)).arrived_at.max() <= 999.0


@pytest.mark.parametrize("tasks", [1, 50])
def test_a_batch_comes_at_once(tasks: int) -> None:
    """All of it at the trace's only moment; of a curve as short nothing would come."""
    batch = Trace(arrived_at=np.zeros(tasks), seconds=np.full(tasks, 5.0), tokens=None)
    assert composed(Recipe(arrivals=batch)).arrived_at.tolist() == [0.0] * tasks
    with pytest.raises(ValueError, match="begins = 0 s leaves nothing of the arrivals"):
        composed(replace(FLAT, arrivals=((0.0, 60.0),)))


def test_without_any_length_there_is_no_work() -> None:
    """The error says what to give."""
    with pytest.raises(ValueError, match="or give --durations, a file that has one or lognormal:MU,SIGMA"):
        composed(Recipe(arrivals=replace(TRACE, seconds=None)))


def test_tasks_fan_out_while_they_run() -> None:
    """So many children on average, at one moment, after their parent came and before it would have ended."""
    plain, spread = composed(FLAT), composed(replace(FLAT, fanout=Fanout(share=1.0, children=4.0, lengths=MINUTE)))
    assert len(spread) == pytest.approx(5 * len(plain), rel=0.05)
    _, together = np.unique(spread.arrived_at, return_counts=True)
    assert together.max() > 4


def test_a_session_s_tasks_follow_one_another() -> None:
    """Each begins a pause after the one before would have ended, and they share their session's number."""
    work = composed(replace(FLAT, talk=Talk(follows=0.5, pause=MINUTE)))
    sessions, sizes = np.unique(work.session, return_counts=True)
    assert sizes.mean() == pytest.approx(2.0, rel=0.05)
    longest = work.arrived_at[work.session == sessions[sizes.argmax()]]
    assert np.diff(longest).tolist() == pytest.approx([120.0] * (len(longest) - 1))


def test_a_session_s_next_task_comes_when_the_one_before_can_have_ended() -> None:
    """However early a trace has it; who is in no session, or in another, comes when the trace says."""
    trace = Trace(
        arrived_at=np.array([0.0, 1.0, 2.0, 3.0, 90.0]), seconds=np.full(5, 20.0), session=np.array([7, 7, -1, 8, 7])
    )
    work = composed(Recipe(arrivals=trace, lasts=200.0))
    assert work.arrived_at.tolist() == [0.0, 2.0, 3.0, 20.0, 90.0]
    assert work.session.tolist() == [7, -1, 8, 7, 7]


@pytest.mark.parametrize(
    "text", ["lognormal:5", "lognormal:a,b", "lognormal:1,-1", "normal:1,1", "lognormal:inf,1", "lognormal:1,11"]
)
def test_a_distribution_that_is_none_says_how_one_is_written(text: str) -> None:
    """With an example."""
    with pytest.raises(ValueError, match=r"write lognormal:MU,SIGMA, like lognormal:5\.49,1\.54"):
        lognormal(text)


def test_a_startup_is_its_median_or_a_distribution() -> None:
    """Written as durations are everywhere."""
    assert startup("1m33s").quantile(0.0) == pytest.approx(93.0)
    assert startup("18").quantile(0.0) == pytest.approx(18.0)
    assert startup("lognormal:2,0.5").sigma == 0.5
    with pytest.raises(ValueError, match="write its median like 18s"):
        startup("quick")


def test_lengths_are_drawn_from_a_file(tmp_path: Path) -> None:
    """Each of those that were measured may come again."""
    (tmp_path / "lengths.csv").write_text("duration_s\n5\n9\n")
    drawn = durations("lengths.csv", tmp_path).draw(np.random.default_rng(1), 100)
    assert set(drawn) == {5.0, 9.0}


def test_a_trace_may_begin_later() -> None:
    """What is left out at first is gone, and what follows comes so much sooner."""
    trace = Trace(arrived_at=np.arange(0.0, 1000.0, 10.0), seconds=np.full(100, 5.0))
    whole, later = (compose(Recipe(arrivals=trace, begins=begins), start=0.0, seed=1) for begins in (0.0, 300.0))
    assert later.arrived_at.tolist() == [at - 300.0 for at in whole.arrived_at.tolist() if at >= 300.0]
    curve = ((0.0, 0.0), (600.0, 0.0), (660.0, 60.0), (7200.0, 60.0))
    late = compose(Recipe(arrivals=curve, begins=3600.0, lengths=MINUTE), start=0.0, seed=1)
    assert late.arrived_at.max() <= 3600.0
    assert len(late) == pytest.approx(3600, rel=0.1)


@pytest.mark.parametrize(
    ("arrivals", "changes", "told"),
    [
        (TRACE, {"thin": 5.0}, "thin = 5 is no share"),
        (TRACE, {"bursts": 20.0}, "bursts = 20 is for a curve"),
        (FLAT.arrivals, {"stretch": 8.0}, "stretch = 8 is for a trace"),
    ],
)
def test_what_would_change_nothing_is_refused(
    arrivals: Trace | tuple[tuple[float, float], ...], changes: dict[str, float], told: str
) -> None:
    """Nobody who asks for it wants that."""
    with pytest.raises(ValueError, match=told):
        replace(Recipe(arrivals=arrivals), **changes)  # type: ignore[arg-type] # each is a number


SHORT = ((0.0, 60.0), (HOUR, 60.0))
QUIET = Trace(arrived_at=np.array([0.0, 1000.0]), seconds=np.full(2, 5.0))


def test_a_curve_begins_with_its_first_point() -> None:
    """Whatever its clock: one that counts from 1970 is the same work."""
    later = tuple((1_767_571_200.0 + at, rate) for at, rate in SHORT)
    assert columns(composed(replace(FLAT, arrivals=later))) == columns(composed(replace(FLAT, arrivals=SHORT)))


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        pytest.param(
            Recipe(arrivals=SHORT, lasts=6 * HOUR), "lasts = 21600 s is more than the curve has, 3600 s", id="Beyond"
        ),
        pytest.param(
            Recipe(arrivals=SHORT, begins=1800.0, lasts=HOUR),
            "more than the curve has, 1800 s from begins = 1800 s on",
            id="BeyondFromLater",
        ),
        pytest.param(
            Recipe(arrivals=SHORT, begins=8 * HOUR, lasts=HOUR),
            "begins = 28800 s leaves nothing of the arrivals: begin earlier than 3600 s",
            id="CurveIsOver",
        ),
        pytest.param(
            Recipe(arrivals=QUIET, begins=8 * HOUR, lasts=HOUR),
            "begins = 28800 s leaves nothing of the arrivals: begin earlier than 1000 s",
            id="TraceIsOver",
        ),
        pytest.param(
            Recipe(arrivals=QUIET, begins=100.0, lasts=200.0),
            "nothing comes with seed 1: the trace has no task from 100 s to 300 s of 1000 s; begin elsewhere",
            id="NoneThen",
        ),
        pytest.param(
            Recipe(arrivals=QUIET, thin=1e-6),
            "nothing comes with seed 1: thin = 1e-06 keeps none of the 2 there are",
            id="Thinned",
        ),
        pytest.param(Recipe(arrivals=((0.0, 0.0), (HOUR, 0.0))), "the rate is 0 from 0 s to 3600 s", id="NoRate"),
        pytest.param(Recipe(arrivals=SHORT, thin=1e-6), "there are 0.0036 tasks on average", id="HardlyAnyRate"),
        pytest.param(
            Recipe(arrivals=replace(QUIET, arrived_at=np.array([0.0, 1e300]))),
            "arrivals go on for 1e.300 s, and a run for 3.16224e.07 s at most, which is a year: set lasts",
            id="TooLong",
        ),
        pytest.param(
            Recipe(arrivals=QUIET, lengths=Lognormal(np.log(1e9), 0.0, "minutes of a lifetime")),
            "a task takes 1e.09 s, and a run goes on for 3.16224e.07 s at most, which is a year: set longest",
            id="TaskTooLong",
        ),
        pytest.param(
            Recipe(arrivals=((0.0, 1e12), (HOUR, 1e12))),
            "the rate comes to 6e.13 tasks, and a run holds 20,000,000",
            id="TooMany",
        ),
        pytest.param(
            Recipe(arrivals=SHORT, fanout=Fanout(share=1.0, children=1e300)),
            "fanout.children = 1e.300 comes to",
            id="TooManyChildren",
        ),
    ],
)
def test_work_that_cannot_be_says_why(recipe: Recipe, said: str) -> None:
    """Nothing is made up beyond the arrivals, and nothing is run where none are left."""
    with pytest.raises(ValueError, match=said):
        composed(replace(recipe, lengths=recipe.lengths or MINUTE))


def test_of_a_trace_that_goes_on_for_ever_the_beginning_can_be_run() -> None:
    """And of a trace more may be asked for than it has: then nothing comes."""
    assert len(composed(Recipe(arrivals=replace(QUIET, arrived_at=np.array([0.0, 1e300])), lasts=HOUR))) == 1
    assert len(composed(Recipe(arrivals=QUIET, lasts=6 * HOUR))) == 2


@pytest.mark.parametrize("text", ["lognormal:1000,0", "1000h"])
def test_a_startup_that_nobody_waits_for_is_none(text: str) -> None:
    """It would overflow, or end long after the run."""
    with pytest.raises(ValueError, match=r"MU from -7 to 18|its median may be 24h at most"):
        startup(text)
