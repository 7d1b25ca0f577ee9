"""What ``scaler simulate warm`` does: size a pool of idle sandboxes by several policies, on the same claims."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from scaler.cli.output import refuse
from scaler.cli.simulate_asked_warm import AskedWarm
from scaler.cli.simulate_files import check_file, reader, write
from scaler.cli.simulate_progress import progress
from scaler.cli.simulate_run import bounds, names_of, shown
from scaler.config.fields import seconds
from scaler.config.problems import ConfigError
from scaler.core.policy import PolicyError
from scaler.core.warmpool_types import WarmPolicy
from scaler.sim.compare import cores, means_of
from scaler.sim.compose import Recipe
from scaler.sim.durations import PREFIX, startup
from scaler.sim.scenario import PRICES
from scaler.sim.traces import Trace, read_rate, read_trace
from scaler.sim.warm_match import NAMES, Question, check, matches, summary, work_out
from scaler.sim.warm_scenario import WarmScenario, out_of_range, question, read_warm
from scaler.sim.workload import SUBAGENT, Lognormal

BOUNDED: Final = ("mean", "low", "high")
LEAST: Final = 1e-6  # of what multiplies
COLUMNS: Final[tuple[tuple[str, str, int], ...]] = (  # heading, figure, decimals
    ("claims", "claims", 0),
    ("missed", "misses", 1),
    ("cold", "cold", 1),
    ("p95 s", "wait_p95_s", 1),
    ("idle h", "idle_sandbox_hours", 1),
    ("pool h", "pool_sandbox_hours", 1),
    ("max", "max_size", 0),
)
KNOWS: Final = {"knowing": "the limit, which knows the rate, ", "priced": "the limit at a price for each miss, "}
READING: Final = """\
missed: claims that found no ready sandbox; % of all claims. cold: those of them that started their own. p95 s: the
wait that 95 in 100 claims do not exceed. idle h: sandbox hours ready and unclaimed; pool h: with those on their way.
max: the largest size. fixed is the smallest size that keeps the target, which nobody knows beforehand."""


def size(asked: AskedWarm) -> None:
    """Run the policies, and tell."""
    question = _question(asked)
    check_file("--json", asked.json)
    todo = matches(question)
    if asked.jobs < 1:
        refuse(f"--jobs {asked.jobs} is out of range: from 1 on; as many as there are cores is fastest")
    try:
        with cores(min(asked.jobs, len(todo))) as executor, progress(len(todo), "runs") as told:
            found = work_out(todo, executor, told=told)
    except ValueError as error:
        refuse(str(error))
    figures = summary(question, found)
    try:
        write(asked.json, {"rows": [asdict(each.row) for each in found], "summary": figures})
    finally:
        _tell(reader(asked.json), question, figures)


def _question(asked: AskedWarm) -> Question:
    """What is asked, checked before anything runs."""
    if asked.scenario is not None:
        return _of_file(asked, asked.scenario)
    wanted = _wanted(asked)
    try:
        names = NAMES if asked.policies is None else names_of(asked.policies)
        if not names:
            refuse(f"--policies {asked.policies!r} names nobody; there are {', '.join(NAMES)}")
        _above("seeds", wanted.seeds, 1)
        _above("start", wanted.start or 0, 0)
        if wanted.wait_price is not None:
            _above("wait-price", wanted.wait_price, *PRICES)
        policy = WarmPolicy(
            min_size=wanted.min, max_size=wanted.max, miss_target=wanted.miss_target, wait_price=wanted.wait_price
        )
        return Question(
            recipe=_recipe(asked, wanted),
            lead=_lead(wanted.lead_time),
            policy=policy,
            policies=tuple(check(name, wanted.max) for name in names),
            seeds=wanted.seeds,
            start=wanted.start,
            equal=asked.equal,
        )
    except PolicyError as error:
        refuse(out_of_range(error, lambda key: f"--{key.replace('_', '-')}"))
    except ValueError as error:
        refuse(str(error))


def _wanted(asked: AskedWarm) -> WarmScenario:
    """What the options say, and where they say nothing what a scenario that says nothing has. None of it is checked."""
    same = ("bursts", "thin", "stretch", "lead_time", "miss_target", "wait_price", "min", "max", "start", "seeds")
    said = {name: value for name in same if (value := getattr(asked, name)) is not None}
    return WarmScenario().model_copy(update=said)


def _of_file(asked: AskedWarm, file: Path) -> Question:
    """What a scenario asks. Options that say the same are refused: which of the two holds nobody could tell."""
    own = [f.name for f in fields(asked) if f.name not in {"scenario", "equal", "jobs", "json"}]
    beside = [name for name in own if getattr(asked, name) is not None]
    if beside:
        refuse(f"--{beside[0].replace('_', '-')} is read beside no scenario: set it in {file}")
    try:
        return question(read_warm(file), equal=asked.equal)
    except ConfigError as error:
        refuse("\n".join(f"{file}: {problem}" for problem in error.problems))
    except ValueError as error:
        refuse(f"{file}: {error}")


def _recipe(asked: AskedWarm, wanted: WarmScenario) -> Recipe:
    """How claims come.

    Raises:
        ValueError: a file or figure cannot be used.
    """
    if (asked.trace is None) == (asked.rate is None):
        raise ValueError("give either a trace of claims (--trace) or a curve of their rate (--rate)")
    for key, value, least in (
        ("thin", wanted.thin, 0.0),
        ("stretch", wanted.stretch, 0.0),
        ("bursts", wanted.bursts, 1.0),
    ):
        if not (value > 0 and value >= least):
            raise ValueError(f"--{key} {value:g} is out of range: {f'from {least:g} on' if least else 'above 0'}")
    arrivals: Trace | tuple[tuple[float, float], ...]
    arrivals = read_trace(asked.trace) if asked.trace is not None else read_rate(asked.rate) if asked.rate else ()
    return Recipe(
        arrivals=arrivals,
        lasts=None if asked.lasts is None else _length("--lasts", asked.lasts),
        bursts=wanted.bursts,
        thin=wanted.thin,
        stretch=wanted.stretch,
        lengths=SUBAGENT,
    )


def _above(key: str, value: float, least: float, most: float = math.inf) -> None:
    """Refuse a figure outside its range.

    Raises:
        ValueError: it is, or it is no number.
    """
    if not (least <= value <= most and value < math.inf):
        raise ValueError(
            f"--{key} {value:g} is out of range: from {least:g} {'on' if most == math.inf else f'to {most:g}'}"
        )


def _length(option: str, text: str) -> float:
    """Seconds, from how people write them.

    Raises:
        ValueError: they are none.
    """
    try:
        return seconds(text)
    except ValueError:
        raise ValueError(f"{option} {text} is no length of time: write 30s, 5m or 1h30m") from None


def _lead(text: str) -> Lognormal:
    """``MU,SIGMA`` of the logarithm of seconds, or the median like 25s.

    Raises:
        ValueError: neither.
    """
    try:
        return startup(f"{PREFIX}{text}" if "," in text and not text.startswith(PREFIX) else text)
    except ValueError:
        raise ValueError(f"--lead-time {text} is none: write MU,SIGMA like 3.22,0.3, or its median like 25s") from None


def _tell(console: Console, question: Question, told: Mapping[str, object]) -> None:
    """Print the figures for a reader."""
    table = Table(box=None, padding=(0, 1, 0, 0), title=means_of(question.seeds), title_justify="left")
    table.add_column("policy", no_wrap=True)
    for heading, *_ in (*COLUMNS[:2], ("%", "", 0), *COLUMNS[2:]):
        table.add_column(heading, justify="right", no_wrap=True)
    means = told["policies"]
    assert isinstance(means, dict)  # noqa: S101 - summary made it
    for policy, figures in means.items():
        cells = [shown(figures[key], decimals) for _, key, decimals in COLUMNS]
        table.add_row(policy, *cells[:2], shown(100.0 * figures["miss_rate"], 2), *cells[2:])
    for line in _verdict(question, means):
        console.print(Text(line), soft_wrap=True)
    console.print(table)
    for line in _equals(told):
        console.print(Text(line), soft_wrap=True)
    console.print(Text(READING), style="dim", soft_wrap=True)


def _verdict(question: Question, means: Mapping[str, Mapping[str, float]]) -> Iterator[str]:
    """Whom to take: who keeps the target while the least stands idle, or else whose claims miss least."""
    if question.policy.wait_price is not None:  # ours aims at another thing then
        return
    target = question.policy.miss_target
    fit = [name for name, of in means.items() if of["miss_rate"] <= target]
    best = min(fit or means, key=lambda name: means[name]["idle_sandbox_hours" if fit else "miss_rate"])
    of, aim = means[best], f"the miss target of {100 * target:g} %"
    if not fit:
        why = f"nobody keeps {aim}; fewest miss with {best}" if len(means) > 1 else f"{best} misses {aim}"
    else:
        why = (
            f"{best} stands idle for the least of the {len(fit)} that keep {aim}" if fit[1:] else f"{best} keeps {aim}"
        )
    found = ", a size that was found on these very claims" if best == "fixed" else ""
    most = math.ceil(of["max_size"])
    yield (
        f"{why}: at most {most:,} sandbox{'' if most == 1 else 'es'}, {of['idle_sandbox_hours']:,.1f} idle hours, "
        f"{100 * of['miss_rate']:.2f} % of claims miss{found}."
    )


def _equals(told: Mapping[str, object]) -> Iterator[str]:
    """Ours beside what misses as few."""
    equals = told["at_equal_misses"]
    assert isinstance(equals, dict)  # noqa: S101 - summary made it
    for peer, figures in equals.items():
        saved = figures["idle_saved"]
        if saved is None:
            yield f"no {peer} misses as few as ours"
            continue
        if saved["mean"] is None:
            yield f"where as few miss: nothing stands idle under {peer} = {figures['knob']:g}, so it has no share"
            continue
        percent = {key: value and 100.0 * value for key, value in saved.items()}
        is_less = percent["mean"] >= 0.0
        share = _percent(percent if is_less else _turned(percent))
        than = f"{KNOWS.get(peer, '')}{peer} = {figures['knob']:g}"
        yield f"where as few miss: ours has {share} {'less' if is_less else 'more'} idle time than {than}"


def _percent(figure: Mapping[str, float | None]) -> str:
    return f"{figure['mean']:.0f} %{bounds(figure, '{:.0f}')}"


def _turned(figure: Mapping[str, float | None]) -> dict[str, float | None]:
    """What is saved, as what is spent."""
    return {to: value and -value for to, value in zip(("mean", "high", "low"), map(figure.get, BOUNDED), strict=True)}
