"""The file that the operator writes, and that the ConfigMap holds: sources, defaults, classes and pools.

What is particular to one pool may also come from its trigger's metadata; a value of the trigger goes before one of the
pool, of its class, of ``defaults``, and of the documented defaults, in this order (see ``resolve``).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Final

from pydantic import Field, ValidationError

from scaler.config import blame
from scaler.config.blame import Path, dotted, line_of
from scaler.config.fields import Duration, Name, PoolName, Template, Url, is_scoped
from scaler.config.hints import HintsSection
from scaler.config.knobs import DEFAULTS, Endpoint, Layer, PoolLayer, Query, Section, Source
from scaler.config.problems import ConfigError, Problem, shown, suggest
from scaler.config.reading import Document, read_yaml
from scaler.config.tls import TlsSection
from scaler.core.policy import Mode

_ACCOUNT: Final = "/var/run/secrets/kubernetes.io/serviceaccount"
Patience = Annotated[Duration, Field(le=4)]  # a tick comes every 5 s, and by then the sources must have answered
Behind = Annotated[Duration, Field(le=150)]  # half of what makes a count of replicas too old to be one
Many = Annotated[int, Field(strict=True, ge=1, le=1_000)]


class PrometheusSection(Section):
    """One server, or each of several that queries name."""

    url: Url | None = Field(
        default=None, description="Base URL of the Prometheus that queries without their own are put to."
    )
    timeout: Patience = Field(
        default=4.0, description="Longest that one query may take, at most 4 s. A duration; a number is seconds."
    )
    interval: Duration = Field(
        default=DEFAULTS.scrape_interval,
        description="Time between two scrapes. A signal, or a pod's own answer, older than three of these lowers "
        "nothing. A duration; a number is seconds.",
    )
    concurrency: Many = Field(default=4, description="Queries under way at once on one server.")
    replicas_behind: Behind = Field(
        default=60.0,
        description="How far the live replicas may be behind the workload: the time between two scrapes of "
        "kube-state-metrics, at most 150 s. For so long after a start, a flip of the mode or pods that came unasked no "
        "number is told that would take pods back. A duration; a number is seconds.",
    )


class ActivitySection(Section):
    """``GET /activity`` of each pod."""

    timeout: Patience = Field(
        default=2.0, description="Longest that one pod may take, at most 4 s. A duration; a number is seconds."
    )
    concurrency: Many = Field(default=64, description="Pods of one pool asked at once.")


class HttpSection(Section):
    """JSON documents over HTTP."""

    timeout: Patience = Field(
        default=4.0, description="Longest that one GET may take, at most 4 s. A duration; a number is seconds."
    )
    concurrency: Many = Field(default=4, description="GETs under way at once on one server.")


class KubernetesSection(Section):
    """The API server, for replicas that are read from the workload itself; as a pod sees it unless set otherwise."""

    url: Url = Field(default="https://kubernetes.default.svc", description="Base URL of the API server.")
    token_file: Template = Field(
        default=f"{_ACCOUNT}/token", description="File with the bearer token, read again for each GET."
    )
    ca_file: Template = Field(
        default=f"{_ACCOUNT}/ca.crt", description="File with the authorities of the API server, read again likewise."
    )


class AdmissionSection(Section):
    """Pools that triggers bring and the file does not name."""

    pools_per_namespace: Annotated[int, Field(strict=True, ge=1, le=10_000)] = Field(
        default=2_000, description="Most pools of one namespace, so that none fills the places of all; 10000 in all."
    )


class Sources(Section):
    """What is read, by kind of source."""

    prometheus: PrometheusSection = Field(default=PrometheusSection(), description="How Prometheus is asked.")
    activity: ActivitySection = Field(default=ActivitySection(), description="How the pods' own endpoints are asked.")
    http: HttpSection = Field(default=HttpSection(), description="How JSON documents are fetched.")
    kubernetes: KubernetesSection = Field(default=KubernetesSection(), description="The API server.")


class Settings(Section):
    """The whole file."""

    mode: Mode = Field(
        default=Mode.AUTO,
        description="The kill switch for every pool: none does more than this, whatever its own mode.",
    )
    sources: Sources = Field(
        default=Sources(), description="Where signals come from, and how patiently they are asked."
    )
    tls: TlsSection = Field(default=TlsSection(), description="Certificates of the two doors, and of their clients.")
    admission: AdmissionSection = Field(
        default=AdmissionSection(), description="How many pools a namespace may bring by its triggers."
    )
    hints: HintsSection = Field(default=HintsSection(), description="Who may announce work before it is queued.")
    defaults: Layer = Field(default=Layer(), description="What holds for every pool that does not say otherwise.")
    classes: dict[Name, Layer] = Field(default={}, description="Policies that many pools share, by name.")
    pools: dict[PoolName, PoolLayer] = Field(default={}, description="Pools, by NAMESPACE/NAME of their ScaledObject.")


EMPTY: Final = Document({}, {})


def parse_settings(text: str) -> Settings:
    """Read the file.

    Raises:
        ConfigError: with everything that is wrong with the file itself; ``check`` finds what is wrong with its pools.
    """
    return settings_of(read_yaml(text))


def settings_of(document: Document) -> Settings:
    """Validate a document that was read.

    Raises:
        ConfigError: with every key twice or unknown and every value out of range; where there is none, with every
            class that does not exist and query without bounds.
    """
    try:
        settings = Settings.model_validate({} if document.value is None else document.value)
    except ValidationError as error:
        raise ConfigError((*document.problems, *blame.problems(error, Settings, document.lines))) from None
    found = (*document.problems, *_strays(settings, document), *_unscoped(settings, document))
    if found:
        raise ConfigError(found)
    return settings


def _strays(settings: Settings, document: Document) -> Iterator[Problem]:
    """Pools of a class that does not exist."""
    for name, pool in settings.pools.items():
        if pool.class_ is not None and pool.class_ not in settings.classes:
            yield _problem_at(
                ("pools", name, "class"),
                document,
                value=pool.class_,
                allowed="must be one of the classes",
                way_out=suggest(pool.class_, settings.classes, f"add classes.{pool.class_}"),
            )


def _unscoped(settings: Settings, document: Document) -> Iterator[Problem]:
    """Queries and addresses that pools of several namespaces share and that would answer each with the others' data."""
    layers: list[tuple[Path, Layer]] = [(("defaults",), settings.defaults)]
    layers += [(("classes", name), layer) for name, layer in settings.classes.items()]
    for base, layer in layers:
        for path, texts in _templates(layer):
            if not any(is_scoped(text) for text in texts):
                yield _problem_at(
                    (*base, *path),
                    document,
                    value=texts[0],
                    allowed="must contain {namespace}, because pools of every namespace may use it",
                    way_out="restrict it to the pool's namespace, or move it to the one pool that needs it",
                )


def _templates(layer: Layer) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """Everything in a layer that says where something is read, each with all its texts."""
    sources: list[tuple[Path, Source | None]] = [(("signals", str(s)), source) for s, source in layer.signals.items()]
    for path, source in [*sources, (("replicas",), layer.replicas)]:
        if isinstance(source, Query):
            yield path, (source.query, source.url or "")
        elif isinstance(source, Endpoint):
            yield path, (source.url, source.path)
    for i, url in enumerate((layer.pods.activity or ()) if layer.pods else ()):
        yield ("pods", "activity", i), (url,)


def _problem_at(path: Path, document: Document, *, value: str, allowed: str, way_out: str) -> Problem:
    """A problem with the line of its path."""
    line = line_of(path, document.lines)
    return Problem(path=dotted(path), value=shown(value), allowed=allowed, way_out=way_out, line=line)
