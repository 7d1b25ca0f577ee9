"""What may be set for a pool: by its trigger's metadata, and, with its sources, by the file's layers.

The defaults are the core's own, read from ``Policy()``, so that there is one place where each is written.
"""

from __future__ import annotations

import enum
from typing import Annotated, Final, Self, TypeAlias
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, model_validator

from scaler.config.fields import (
    PODS_MOST,
    Duration,
    Grace,
    Name,
    Page,
    Template,
    Url,
    WallTime,
    WorkloadPath,
    Zone,
    is_scoped,
    refusal,
)
from scaler.config.path import JsonPath
from scaler.config.pool import Guard, JobStrategy, Spread
from scaler.core.policy import Guarantee, Mode, Policy, Workload
from scaler.core.types import Signal

DEFAULTS: Final = Policy()
WATCHED: Final = ("deployments", "statefulsets")  # whose pods the controller knows how to drain

Count = Annotated[int, Field(strict=True, ge=0, le=PODS_MOST)]
Positive = Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)]
Switch = Annotated[bool, Field(strict=True)]


class Section(BaseModel):
    """A part of the configuration: unknown keys are refused, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Knobs(Section):
    """What the trigger's metadata may set as well as the file."""

    mode: Mode = Field(
        default=DEFAULTS.mode,
        description="The kill switch: auto acts; recommend and off answer the live replicas, so nothing changes.",
    )
    min: Count = Field(default=DEFAULTS.min_replicas, description="Fewest replicas.")
    max: Annotated[Count, Field(ge=1)] = Field(
        default=DEFAULTS.max_replicas, description="Most replicas. Draining pods count. At least min."
    )
    target_wait_p95: Duration = Field(
        default=DEFAULTS.target_wait_p95,
        description="How long a task may wait before it runs, at the 95th percentile. A duration; a number is seconds.",
    )
    slots_per_pod: Annotated[Count, Field(ge=1)] = Field(
        default=DEFAULTS.slots_per_pod, description="Tasks that one pod runs at once."
    )
    tokens_per_pod: Positive | None = Field(
        default=DEFAULTS.tokens_per_pod, description="Tokens per second that one pod carries; null lets it be learnt."
    )
    activation: Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)] = Field(
        default=DEFAULTS.activation, description="Tasks that must be exceeded before an empty pool wakes."
    )
    pause_up: Switch = Field(default=DEFAULTS.pause_up, description="Add no replicas.")
    pause_down: Switch = Field(default=DEFAULTS.pause_down, description="Remove no replicas.")
    guarantee: Guarantee = Field(
        default=DEFAULTS.guarantee,
        description="protected: a pod leaves only after its gate has closed on an idle agent; "
        "best-effort: the target falls by idle pods, and the workload's controller picks who goes.",
    )
    guard: Guard = Field(
        default=Guard.DENY,
        description="What the delete guard does with whoever deletes a pod that is not drained: deny refuses it, "
        "audit lets it pass, warns and counts.",
    )
    workload: Workload = Field(
        default=DEFAULTS.workload, description="What makes the pods, which decides who can leave."
    )
    task_limit: Duration | None = Field(
        default=DEFAULTS.task_limit,
        description="A task that runs for longer than this is told of, and never ended; null tells of none.",
    )
    ordinals_start: Count = Field(
        default=DEFAULTS.ordinals_start,
        description="First ordinal of a StatefulSet; the own one of a workload that is watched counts instead.",
    )
    scaled_job_strategy: JobStrategy | None = Field(
        default=None,
        description="For a ScaledJob, KEDA's scalingStrategy: default is told waiting and running work, "
        "accurate only unclaimed work; null for a ScaledObject.",
    )


class Query(Section):
    """One PromQL expression that yields one number."""

    query: Template = Field(
        description="PromQL that yields one number; {namespace} and {name} become the pool's. An expression that "
        "matches {name} as a pattern matches more than one name, so compare with = where names can be compared."
    )
    url: Url | None = Field(
        default=None, description="Base URL of the Prometheus to ask; null asks sources.prometheus.url."
    )


class Endpoint(Section):
    """One number of the JSON document that an HTTP GET answers. Pools and signals that name the same URL share a GET.

    What is taken is a number, finite and not negative; a string, ``true`` or ``null`` is none.
    """

    url: Page = Field(
        description="URL of the document; {namespace} and {name} become the pool's. No redirect is followed."
    )
    path: JsonPath = Field(
        description="The way to the number, as in queues[0].depth; a key that holds anything but letters, digits, _ "
        'and - is quoted, as in pools["{namespace}/{name}"].queued. A placeholder stays within its step.',
        examples=["stats.queued", "queues[0].depth"],
    )
    token_file: Template | None = Field(
        default=None, description="File with a bearer token for the page, read again for each GET; null sends none."
    )
    ca_file: Template | None = Field(
        default=None,
        description="File with the only authorities to trust for the page, as PEM, read again for each GET; null "
        "trusts the system's.",
    )

    @model_validator(mode="after")
    def _need_tls(self) -> Self:
        """Who trusts an authority means to be sure of the server."""
        if self.ca_file is not None and urlsplit(self.url).scheme != "https":
            raise refusal("url is not https, so nobody has to be trusted", "write https, or take ca_file away")
        return self

    @model_validator(mode="after")
    def _keep_the_token(self) -> Self:
        """A host that the pool's namespace chooses must not be sent a token that is not the namespace's own."""
        host, token_file = urlsplit(self.url).netloc, self.token_file
        if token_file is not None and "{" in host and not is_scoped(token_file):
            allowed = "the pool chooses the host of url, and so who is sent token_file"
            raise refusal(allowed, "put {namespace} into token_file, or take the placeholder out of the host")
        return self


class Scale(Section):
    """The live replicas of the workload itself, as the API server has them: no scrape and no cache is in between."""

    scale: WorkloadPath = Field(
        description="The workload in the pool's namespace: deployments/NAME, statefulsets/NAME, or "
        "GROUP/VERSION/PLURAL/NAME for any other kind that has a scale. {name} becomes the pool's.",
        examples=["deployments/{name}"],
    )


def _as_source(value: object) -> object:
    """A plain string is the expression."""
    if not isinstance(value, str | dict | Query | Endpoint | Scale):
        allowed = "must be a PromQL expression, a section with query and url, or one with url and path"
        raise refusal(allowed, "write the expression")
    return {"query": value} if isinstance(value, str) else value


def _kind(value: object) -> str:
    """Which of the two sections is meant: the key ``path`` tells."""
    if isinstance(value, dict):
        return "[Endpoint]" if "path" in value and "query" not in value else "[Query]"
    return f"[{type(value).__name__}]"


def _kind_of_replicas(value: object) -> str:
    """Which of the three is meant, where a scale may be."""
    return "[Scale]" if isinstance(value, dict) and "scale" in value else _kind(value)


Source: TypeAlias = Query | Endpoint | Scale
SourceOrText = Annotated[
    Annotated[Query, Tag("[Query]")] | Annotated[Endpoint, Tag("[Endpoint]")],
    Discriminator(_kind),
    BeforeValidator(_as_source, json_schema_input_type=str | Query | Endpoint),
]
ReplicasOrText = Annotated[
    Annotated[Query, Tag("[Query]")] | Annotated[Endpoint, Tag("[Endpoint]")] | Annotated[Scale, Tag("[Scale]")],
    Discriminator(_kind_of_replicas),
    BeforeValidator(_as_source, json_schema_input_type=str | Query | Endpoint | Scale),
]


class PodsSection(Section):
    """How the pods are asked one by one: at addresses that are listed here, or at those of a workload's pods."""

    activity: tuple[Url, ...] | None = Field(
        default=None,
        min_length=1,
        description="One base URL for each pod; GET URL/activity answers what runs there. {namespace} and {name} "
        "become the pool's.",
    )
    workload: WorkloadPath | None = Field(
        default=None,
        description="The workload in the pool's namespace whose pods the controller watches (serve --control): "
        "deployments/NAME or statefulsets/NAME. {name} becomes the pool's.",
        examples=["deployments/{name}"],
    )

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        """Pods are at one kind of place."""
        if (self.activity is None) == (self.workload is None):
            raise refusal("must have activity or workload", "keep one of the two")
        if self.workload is not None and self.workload.split("/")[0] not in WATCHED:
            raise refusal(f"workload must be of {' or '.join(WATCHED)}", "write it as in deployments/{name}")
        return self


class Day(enum.StrEnum):
    """Days of the week, in the order of the calendar."""

    MON = "mon"
    TUE = "tue"
    WED = "wed"
    THU = "thu"
    FRI = "fri"
    SAT = "sat"
    SUN = "sun"


class Window(Section):
    """At least this many replicas on these days between two wall-clock times."""

    name: Name | None = Field(default=None, description="Shown in explanations; null takes the place in the list.")
    days: tuple[Day, ...] = Field(default=tuple(Day), min_length=1, description="Days on which the window begins.")
    start: WallTime = Field(alias="from", description="Wall-clock time, HH:MM.")
    end: WallTime = Field(alias="to", description="Wall-clock time, HH:MM; at or before `from` is on the next day.")
    timezone: Zone = Field("UTC", description="A name of the tz database: Europe/Berlin.")
    replicas: Annotated[Count, Field(ge=1)] = Field(description="Replicas to have there when the window begins.")


class Layer(Knobs):
    """What may be set for a pool in the file."""

    budget_per_hour: Positive | None = Field(
        default=DEFAULTS.budget_per_hour,
        description="Most money an hour, in the currency of pod_price_per_hour; null is no bound. Draining pods count.",
    )
    pod_price_per_hour: Positive | None = Field(
        default=DEFAULTS.pod_price_per_hour,
        description="Price of one pod for an hour. Set together with budget_per_hour.",
    )
    signals: dict[Signal, SourceOrText | None] = Field(
        default={},
        description="Where each signal is read. Layers add to one another; null takes a signal away. While one is "
        "missing nothing falls, but for wait_p95 and service: where no task began or ended lately, there are none.",
    )
    pods: PodsSection | None = Field(
        default=None, description="How the pods are asked one by one; null where they cannot be."
    )
    replicas: ReplicasOrText | None = Field(
        default=None,
        description="Where the live spec.replicas is read; null counts the pods that are asked one by one.",
    )
    schedule: tuple[Window, ...] = Field(
        default=(), description="Windows in which replicas are wanted ahead of the work."
    )
    grace: Grace | None = Field(
        default=None,
        description="How long a watched pod may take to end, given to it at its creation where its template leaves "
        "Kubernetes' 30 s; null leaves them too. A duration of whole seconds.",
    )
    spread: tuple[Spread, ...] = Field(
        default=(),
        description="Over what watched pods are spread as far as there is room, given to them at their creation where "
        "their template has no topologySpreadConstraints. With zone, spare pods wait for those of fuller zones to "
        "leave first, for one idle timer at the most.",
    )


class PoolLayer(Layer):
    """What may be set for one pool in the file."""

    class_: Name | None = Field(default=None, alias="class", description="The class it takes its policy from.")
