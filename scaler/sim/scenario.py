"""A scenario: the work, the pool and the question, as a file says it.

Each key is described where it stands; an option of the command or a sweep may set it by its name.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, ValidationError, ValidationInfo

from scaler.config import blame
from scaler.config.fields import PODS_MOST, Duration, refusal
from scaler.config.knobs import Section
from scaler.config.problems import ConfigError, Problem
from scaler.config.reading import Document, Plain, read_yaml
from scaler.sim.ablations import ABLATIONS
from scaler.sim.claims import Written
from scaler.sim.dispatch import Dispatch
from scaler.sim.durations import PREFIX, startup
from scaler.sim.inline import CurveOrFile, TraceOrFile
from scaler.sim.peers.catalogue import PEERS

OURS: Final = "ours"
POLICIES: Final = (OURS, *PEERS)
NAMED: Final = {"sub-agents": "lognormal:4.84,0.66", "pauses": "lognormal:5.10,2.09"}  # fits; workload names the source

Share = Annotated[float, Field(strict=True, gt=0, le=1)]
Whole = Annotated[int, Field(strict=True, ge=0, le=PODS_MOST)]
Number = Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)]
PRICES: Final = (0.001, 1e9)  # of a second of waiting: with more no sum is finite, with less tasks would wait for days
Price = Annotated[float, Field(strict=True, ge=PRICES[0], le=PRICES[1], allow_inf_nan=False)]


def _startup(text: str) -> str:
    try:
        startup(text)
    except ValueError as error:
        raise refusal("must be a startup", str(error)) from None
    return text


def _policies(names: tuple[str, ...]) -> tuple[str, ...]:
    unknown = [name for name in names if name not in POLICIES and name not in ABLATIONS]
    if unknown:
        there = ", ".join((*POLICIES, *ABLATIONS))
        raise refusal("must name policies", f"{', '.join(unknown)} is none; there are {there}")
    return tuple(dict.fromkeys(names))


def _from_min(most: int, known: ValidationInfo) -> int:
    """No fewer than the fewest; where those are refused, there is nothing to hold it against."""
    if most < (least := known.data.get("min", 0)):
        raise refusal(f"must be >= min = {least}", "raise max, or lower min")
    return most


class FanoutSection(Section):
    """Tasks that let others do part of their work."""

    share: Share = Field(description="Share of tasks that fan out, once, at some moment of their run.")
    children: Annotated[float, Field(strict=True, ge=1)] = Field(description="Tasks each starts at once, on average.")
    durations: str = Field(default=NAMED["sub-agents"], description="How long they take.")


class SessionsSection(Section):
    """Tasks that go on in a session."""

    follows: Share = Field(description="Probability that a task has a next one in its session.")
    pause: str = Field(default=NAMED["pauses"], description="Seconds from the end of one task to the next.")
    hold: Annotated[float, Field(strict=True, ge=0)] = Field(
        default=0.0, description="Seconds for which a session keeps its slot after a task."
    )


class NodesSection(Section):
    """Nodes that are bought as they are wanted."""

    room: Annotated[Whole, Field(ge=1)] = Field(default=4, description="Pods that a node carries.")
    delay: Annotated[str, AfterValidator(_startup)] = Field(
        default="lognormal:4.317,0.35", description="From the request of a node until it is ready."
    )
    reclaimed: Duration | None = Field(
        default=None, description="Mean time until the cloud takes a node back, as it does with spot capacity."
    )
    notice: Duration = Field(default=120.0, description="Warning before that.")


class Scenario(Section):
    """What is asked."""

    question: str = Field(default="", description="The question, in a planner's words.")
    shows: str = Field(default="", description="What it is expected to show.")
    expect: tuple[Written, ...] = Field(
        default=(), description="That as figures of the summary: ours.killed == 0, ours.price < hpa.price."
    )

    trace: TraceOrFile | None = Field(
        default=None, description="A file of arrivals, or tasks as [seconds until it comes, seconds that it runs]."
    )
    rate: CurveOrFile | None = Field(
        default=None, description="Arrivals as a curve: [seconds, tasks per minute], or a file with such columns."
    )
    begins: Duration | None = Field(default=None, description="How much of it is left out at first.")
    lasts: Duration | None = Field(default=None, description="How much of it is used then; the rest, unless set.")
    bursts: Annotated[float, Field(strict=True, ge=1)] = Field(
        default=1.0, description="Variance over mean of a curve's arrivals in 60 s; agents that fan out have 16 to 26."
    )
    thin: Number = Field(default=1.0, description="Share of a trace's arrivals that is kept; a curve is multiplied.")
    stretch: Number = Field(default=1.0, description="Times that a trace takes longer than it did.")
    durations: str | None = Field(
        default=None, description="lognormal:MU,SIGMA of seconds, or a file with duration_s to draw from."
    )
    longest: Duration | None = Field(default=None, description="When a task gives up.")
    fanout: FanoutSection | None = Field(default=None, description="Sub-agents.")
    sessions: SessionsSection | None = Field(default=None, description="Conversations.")

    slots: Annotated[Whole, Field(ge=1, le=1024)] = Field(default=1, description="Tasks that a pod runs at once.")
    dispatch: Dispatch = Field(default=Dispatch.PULL, description="How a task finds its slot.")
    startup: Annotated[str, AfterValidator(_startup)] = Field(
        default="18s", description="Median from a pod's creation until it is ready, or lognormal:MU,SIGMA."
    )
    min: Whole = Field(default=0, description="Fewest replicas.")
    max: Annotated[Whole, Field(ge=1, validate_default=True), AfterValidator(_from_min)] = Field(
        default=100, description="Most replicas."
    )
    target_wait: Duration = Field(default=30.0, description="How long a task may wait, at the 95th percentile.")
    wait_price: Price = Field(default=10.0, description="Price of a second of waiting, in pod-seconds.")
    pod_price_per_hour: Annotated[Number, Field(le=PRICES[1])] | None = Field(
        default=None, description="Money that an hour of a pod costs, in any currency; figures have it too then."
    )
    workload: Literal["ReplicaSet", "StatefulSet", "StatefulSet, Parallel"] = Field(
        default="ReplicaSet", description="Who owns the pods."
    )
    nodes: NodesSection | None = Field(default=None, description="Nodes that are bought; there always are, unless set.")
    quota: Number | None = Field(
        default=None,
        description="Tokens a second that the model's backend gives to all agents together; no bound, unless set.",
    )
    blind: tuple[tuple[Annotated[float, Field(ge=0)], float], ...] = Field(
        default=(), description="Spans in which nothing can be measured: [from, to] in seconds."
    )

    policies: Annotated[tuple[str, ...], Field(min_length=1), AfterValidator(_policies)] = Field(
        default=POLICIES, description="Who is asked."
    )
    seeds: Annotated[Whole, Field(ge=1, le=10_000)] = Field(default=5, description="Runs of each.")


def read_scenario(file: Path) -> Scenario:
    """The scenario that a file says. Files that it names are looked for beside it.

    Raises:
        ConfigError: with everything that is wrong.
    """
    try:
        document = read_yaml(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            [
                _whole(
                    f"cannot be read: {getattr(error, 'strerror', error)}", "name a scenario file, as simulations/ has"
                )
            ]
        ) from None
    return placed(parsed(document), lambda named: file.parent / named)


def parsed(document: Document) -> Scenario:
    """The scenario of a document.

    Raises:
        ConfigError: with everything that is wrong.
    """
    try:
        scenario = Scenario.model_validate({} if document.value is None else document.value)
    except ValidationError as error:
        raise ConfigError((*document.problems, *blame.problems(error, Scenario, document.lines))) from None
    if document.problems:
        raise ConfigError(document.problems)
    return scenario


def changed(scenario: Scenario, changes: Mapping[str, Plain]) -> Scenario:
    """The scenario with some keys set otherwise; a dot leads into a section.

    Raises:
        ConfigError: there is no such key, or it does not take that.
    """
    value = scenario.model_dump(mode="json", exclude_unset=True)
    for key, to in changes.items():
        *sections, last = key.split(".")
        place = value
        for section in sections:
            inner = place.get(section)
            place[section] = inner = dict(inner) if isinstance(inner, dict) else {}
            place = inner
        place[last] = to
    return parsed(Document(value, {}))


def without(scenario: Scenario, keys: Collection[str]) -> Scenario:
    """The scenario as if it did not say these."""
    return parsed(Document(scenario.model_dump(mode="json", exclude_unset=True, exclude={*keys}), {}))


def placed(scenario: Scenario, place: Callable[[Path], Path]) -> Scenario:
    """The scenario with another file for each that it names: here stands which keys name one."""
    fanout, sessions = scenario.fanout, scenario.sessions
    changes = {
        "trace": place(scenario.trace) if isinstance(scenario.trace, Path) else None,
        "rate": place(scenario.rate) if isinstance(scenario.rate, Path) else None,
        "durations": _placed(scenario.durations, place),
        "fanout": fanout and fanout.model_copy(update={"durations": _placed(fanout.durations, place)}),
        "sessions": sessions and sessions.model_copy(update={"pause": _placed(sessions.pause, place)}),
    }
    return scenario.model_copy(update={name: value for name, value in changes.items() if value is not None})


def _placed(text: str | None, place: Callable[[Path], Path]) -> str | None:
    return text if text is None or text.startswith(PREFIX) else str(place(Path(text)))


def _whole(allowed: str, way_out: str) -> Problem:
    return Problem(path="the file", value=None, allowed=allowed, way_out=way_out)
