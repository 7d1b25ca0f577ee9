"""A question about a warm pool, as a file says it: the claims, the pool, who is asked, and what it should show."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final

from pydantic import AfterValidator, Field, ValidationError

from scaler.config import blame
from scaler.config.fields import Duration, refusal
from scaler.config.knobs import Section
from scaler.config.problems import ConfigError, Problem
from scaler.config.reading import read_yaml
from scaler.core.policy import PolicyError
from scaler.core.warmpool_types import MISSES, WarmPolicy
from scaler.sim.claims import Written
from scaler.sim.compose import Recipe
from scaler.sim.durations import startup
from scaler.sim.inline import CurveOrFile
from scaler.sim.scenario import Price
from scaler.sim.traces import read_rate, read_trace
from scaler.sim.warm_match import NAMES, Question, check
from scaler.sim.workload import SUBAGENT

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Size = Annotated[int, Field(strict=True, ge=0)]
MOST: Final = 1_000


def _lead(text: str) -> str:
    try:
        startup(text)
    except ValueError as error:
        raise refusal("must be a lead time", str(error)) from None
    return text


class WarmScenario(Section):
    """What is asked."""

    question: str = Field(default="", description="The question, in a planner's words.")
    shows: str = Field(default="", description="What it is expected to show.")
    expect: tuple[Written, ...] = Field(
        default=(), description="That as figures of the summary: ours.miss_rate <= 0.015."
    )
    trace: Path | None = Field(default=None, description="A file of claims.")
    rate: CurveOrFile | None = Field(
        default=None, description="Claims as a curve: [seconds, claims per minute], or a file with such columns."
    )
    lasts: Duration | None = Field(default=None, description="How much of it is used; all of it, unless set.")
    bursts: Annotated[float, Field(ge=1)] = Field(
        default=1.0, description="Variance over mean of a curve's claims in 60 s."
    )
    thin: Positive = Field(default=1.0, description="Share of a trace's claims that is kept; a curve is multiplied.")
    stretch: Positive = Field(default=1.0, description="Times that a trace takes longer than it did.")
    lead_time: Annotated[str, AfterValidator(_lead)] = Field(
        default="25s", description="Median from a sandbox's creation until it is ready, or lognormal:MU,SIGMA."
    )
    miss_target: Annotated[float, Field(ge=MISSES, lt=1)] = Field(
        default=0.01, description="Share of claims that may find no ready sandbox."
    )
    wait_price: Price | None = Field(
        default=None,
        description="Price of a second of waiting, in seconds of an idle sandbox: ours aims at it instead.",
    )
    min: Size = Field(default=0, description="Smallest size of ours.")
    max: Annotated[Size, Field(ge=1)] = Field(default=MOST, description="Largest size.")
    start: Size | None = Field(
        default=None, description="Sandboxes that stand ready at first; as many as a fixed pool needs, unless set."
    )
    policies: Annotated[tuple[str, ...], Field(min_length=1)] = Field(default=NAMES, description="Who is asked.")
    seeds: Annotated[int, Field(strict=True, ge=1)] = Field(default=3, description="Runs of each.")


def read_warm(file: Path) -> WarmScenario:
    """The scenario that a file says. Files that it names are looked for beside it.

    Raises:
        ConfigError: with everything that is wrong.
    """
    try:
        document = read_yaml(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", error)
        way_out = "name a scenario of a warm pool, as simulations/warm has"
        raise ConfigError(
            [Problem(path="the file", value=None, allowed=f"cannot be read: {why}", way_out=way_out)]
        ) from None
    try:
        found = WarmScenario.model_validate({} if document.value is None else document.value)
    except ValidationError as error:
        raise ConfigError((*document.problems, *blame.problems(error, WarmScenario, document.lines))) from None
    if document.problems:
        raise ConfigError(document.problems)
    beside = {
        "trace": found.trace and file.parent / found.trace,
        "rate": file.parent / found.rate if isinstance(found.rate, Path) else found.rate,
    }
    return found.model_copy(update=beside)


def out_of_range(error: PolicyError, option: Callable[[str], str] = str) -> str:
    """What a policy refuses, by the keys of a scenario, or by the options that ``option`` makes of them."""
    known = {"min_size": option("min"), "max_size": option("max")}
    allowed = error.allowed.replace("min_size", known["min_size"])
    value = f"{error.value:g}" if isinstance(error.value, float) else error.value
    return f"{known.get(error.key) or option(error.key)} {value} is out of range: must be {allowed}"


def question(scenario: WarmScenario, *, equal: bool) -> Question:
    """What is asked of the policies; ``equal`` also looks for what the others need to miss as few.

    Raises:
        ValueError: the keys contradict each other, or a file cannot be used.
    """
    if (scenario.trace is None) == (scenario.rate is None):
        raise ValueError("give either a trace of claims (trace) or a curve of their rate (rate)")
    rate = read_rate(scenario.rate) if isinstance(scenario.rate, Path) else scenario.rate
    try:
        policy = WarmPolicy(
            min_size=scenario.min,
            max_size=scenario.max,
            miss_target=scenario.miss_target,
            wait_price=scenario.wait_price,
        )
    except PolicyError as error:
        raise ValueError(out_of_range(error)) from None
    return Question(
        recipe=Recipe(
            arrivals=rate or () if scenario.trace is None else read_trace(scenario.trace),
            lasts=scenario.lasts,
            bursts=scenario.bursts,
            thin=scenario.thin,
            stretch=scenario.stretch,
            lengths=SUBAGENT,
        ),
        lead=startup(scenario.lead_time),
        policy=policy,
        policies=tuple(check(name, scenario.max) for name in scenario.policies),
        seeds=scenario.seeds,
        start=scenario.start,
        equal=equal,
    )
