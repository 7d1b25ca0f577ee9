"""One pool out of all layers: what holds for it, and which layer said so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import time
from types import MappingProxyType
from typing import Final
from zoneinfo import ZoneInfo

from scaler.config.knobs import (
    DEFAULTS,
    Day,
    Knobs,
    Layer,
    PodsSection,
    PoolLayer,
    Scale,
    Source,
    Window,
)
from scaler.config.metadata import TriggerMetadata
from scaler.config.pool import (
    Essentials,
    Found,
    JsonNumber,
    PoolKey,
    PoolSpec,
    PrometheusQuery,
    ScheduleRule,
    SignalSource,
    Spread,
)
from scaler.config.problems import ConfigError, Problem, shown, suggest
from scaler.config.reader import Reader
from scaler.config.settings import Settings, Sources
from scaler.core.policy import Mode, Policy, PolicyError, Workload
from scaler.core.types import Seconds, Signal

_WORK: Final = (Signal.QUEUE, Signal.PENDING, Signal.INFLIGHT, Signal.TOKENS)  # each says how much there is to do
_ORDER: Final = (Mode.OFF, Mode.RECOMMEND, Mode.AUTO)  # from the least that is done to the most
_KEYS: Final = {"min_replicas": "min", "max_replicas": "max"}  # where the core's word is not the file's
_DAYS: Final = tuple(Day)
_NOT_KNOBS: Final = frozenset({"pool", "class_", "warm_pool"})


def resolve(settings: Settings, key: PoolKey, metadata: TriggerMetadata, found: Found | None = None) -> PoolSpec:
    """What holds for the pool ``key`` whose trigger says ``metadata`` (``TriggerMetadata()`` where there is none).

    ``found`` is what its ScaledObject says: its bounds go before all others, for the HPA has no other ones (though its
    trigger may name a lower maximum), and its workload is watched and counted where nothing else says where pods and
    replicas are.

    Raises:
        ConfigError: the class does not exist, the layers contradict each other, or nothing says how much work or how
            many replicas there are.
    """
    class_name, class_origin = _class_of(settings, key, metadata)
    layered = _merge(_all_layers(settings, key, class_name, metadata, found))
    reader = Reader(settings.sources, key)
    policy, problems = _policy(settings, layered)
    signals = reader.signals(layered.layer.signals)
    replicas = reader.source("replicas", _replicas(layered.layer))
    problems += (*reader.problems, *_blind(layered.layer))
    if problems:
        raise ConfigError(problems)
    return PoolSpec(
        key=key,
        class_name=class_name,
        policy=policy,
        signals=MappingProxyType(signals),
        pods=reader.pods(layered.layer.pods),
        replicas=replicas,
        replicas_behind=_behind(settings.sources, replicas),
        job_strategy=layered.layer.scaled_job_strategy,
        guard=layered.layer.guard,
        essentials=_essentials(layered.layer),
        schedule=tuple(_rule(i, w) for i, w in enumerate(layered.layer.schedule, start=1)),
        origin=MappingProxyType(_origin(settings, layered, class_origin)),
    )


def _essentials(layer: Layer) -> Essentials:
    return Essentials(
        grace=None if layer.grace is None else int(layer.grace), spread=tuple(dict.fromkeys(layer.spread))
    )


def _behind(sources: Sources, replicas: SignalSource | None) -> Seconds:
    """How far the replicas may be behind the workload: what Prometheus has was scraped, and a page may be a copy."""
    match replicas:
        case PrometheusQuery():
            return sources.prometheus.replicas_behind
        case JsonNumber():
            return min(sources.prometheus.interval, sources.prometheus.replicas_behind)
        case _:
            return 0.0


def contradictions(settings: Settings, class_name: str) -> tuple[Problem, ...]:
    """What the bounds and the money of a class contradict each other in, before any pool adds to it."""
    layers = (("config defaults", settings.defaults), (f"class {class_name}", settings.classes[class_name]))
    return _policy(settings, _merge(iter(layers)))[1]


@dataclass(frozen=True, slots=True)
class _Layered:
    """The layers as one, and for each key that any of them sets, which one decided."""

    layer: Layer
    origin: Mapping[str, str]

    def told(self, key: str) -> str:
        """Which layer decided ``key``."""
        return self.origin.get(key, "default")


def _class_of(settings: Settings, key: PoolKey, metadata: TriggerMetadata) -> tuple[str | None, str]:
    """The pool's class and who chose it."""
    pool = settings.pools.get(str(key))
    choices = [(metadata.class_, "trigger metadata"), (pool.class_ if pool else None, "pool")]
    name, origin = next(((c, o) for c, o in choices if c is not None), (None, "default"))
    if name is not None and name not in settings.classes:
        allowed, way_out = "must be an existing class", suggest(name, settings.classes, "choose one or leave it out")
        raise ConfigError([Problem(path="class", value=shown(name), allowed=allowed, way_out=way_out)])
    return name, origin


def _layers(
    settings: Settings, key: PoolKey, class_name: str | None, metadata: TriggerMetadata
) -> Iterator[tuple[str, Knobs]]:
    """The layers from the weakest to the strongest, each with its name."""
    yield "config defaults", settings.defaults
    if class_name is not None:
        yield f"class {class_name}", settings.classes[class_name]
    yield "pool", settings.pools.get(str(key), PoolLayer())
    yield "trigger metadata", metadata


def _all_layers(
    settings: Settings, key: PoolKey, class_name: str | None, metadata: TriggerMetadata, found: Found | None
) -> Iterator[tuple[str, Knobs]]:
    """The layers, with what the cluster says below and above them."""
    if found is not None and found.workload is not None:
        place = "/".join(found.workload)
        yield "ScaledObject", PoolLayer(pods=PodsSection(workload=place), replicas=Scale(scale=place))
    yield from _layers(settings, key, class_name, metadata)
    if found is not None:
        yield "ScaledObject", _said(found, metadata.max if "max" in metadata.model_fields_set else None)


def _said(found: Found, most: int | None) -> PoolLayer:
    """What a ScaledObject or a ScaledJob has the last word on; ``most`` is its trigger's maximum, where it has one."""
    said: dict[str, object] = {"min": found.least}
    if most is None or most > found.most:
        said["max"] = max(1, found.most)
    if found.strategy is not None:
        said["scaled_job_strategy"] = found.strategy
    if found.workload is not None:
        ordered = found.workload[0] == "statefulsets"
        said["workload"] = Workload.STATEFUL_SET if ordered else Workload.REPLICA_SET
    return PoolLayer.model_validate(said)


def _watched(layer: Layer) -> str | None:
    """The workload whose pods are watched, None where none are. Ordinals are counted from its own first one."""
    return None if layer.pods is None else layer.pods.workload


def _replicas(layer: Layer) -> Source | None:
    """Where replicas are read: of a workload whose pods are watched, from its scale unless something else is said."""
    workload = _watched(layer)
    return Scale(scale=workload) if layer.replicas is None and workload is not None else layer.replicas


def _merge(layers: Iterator[tuple[str, Knobs]]) -> _Layered:
    """What the strongest layer that sets a key says; signals are told apart one by one."""
    values: dict[str, object] = {}
    signals: dict[Signal, Source | None] = {}
    origin: dict[str, str] = {}
    for name, layer in layers:
        for field in layer.model_fields_set - _NOT_KNOBS - {"signals"}:
            values[field] = getattr(layer, field)
            origin[field] = name
        for signal, source in (layer.signals if isinstance(layer, Layer) else {}).items():
            signals[signal] = source
            origin[f"signals.{signal}"] = name
    return _Layered(Layer.model_validate({**values, "signals": signals}), origin)


def _policy(settings: Settings, layered: _Layered) -> tuple[Policy, tuple[Problem, ...]]:
    """The core's policy, and what its layers contradict each other in; then the rest is still looked at."""
    base = layered.layer
    found: list[Problem] = []
    for _ in range(3):  # bounds and money can each be contradictory once
        try:
            return _policy_of(settings, base), tuple(found)
        except PolicyError as error:
            found.append(_contradiction(error, layered))
            base = base.model_copy(update=_without(error.key))
    raise AssertionError("the documented defaults contradict each other")


def _policy_of(settings: Settings, base: Layer) -> Policy:
    return Policy(
        mode=min(settings.mode, base.mode, key=_ORDER.index),
        min_replicas=base.min,
        max_replicas=base.max,
        budget_per_hour=base.budget_per_hour,
        pod_price_per_hour=base.pod_price_per_hour,
        target_wait_p95=base.target_wait_p95,
        slots_per_pod=base.slots_per_pod,
        tokens_per_pod=base.tokens_per_pod,
        activation=base.activation,
        pause_up=base.pause_up,
        pause_down=base.pause_down,
        guarantee=base.guarantee,
        workload=base.workload,
        ordinals_start=base.ordinals_start if _watched(base) is None else 0,
        task_limit=base.task_limit,
        even_zones=Spread.ZONE in base.spread,
        scrape_interval=settings.sources.prometheus.interval,
    )


def _without(policy_key: str) -> dict[str, object]:
    """The values that stand in for those that contradict each other."""
    if policy_key == "max_replicas":
        return {"min": DEFAULTS.min_replicas, "max": DEFAULTS.max_replicas}
    return {"budget_per_hour": None, "pod_price_per_hour": None}


def _contradiction(error: PolicyError, layered: _Layered) -> Problem:
    """The core's refusal, under the file's key and with who set both halves of it."""
    if error.key == "max_replicas":
        allowed = f"must be at least min, which is {layered.layer.min} (from {layered.told('min')})"
        way_out = "raise max or lower min"
    else:
        paired = layered.layer.budget_per_hour is not None and layered.layer.pod_price_per_hour is not None
        way_out = "raise it, or lower min or pod_price_per_hour" if paired else "set both or neither"
        allowed = f"must be {error.allowed}"
    key = _KEYS.get(error.key, error.key)
    return Problem(path=key, value=f"{error.value!r} (from {layered.told(key)})", allowed=allowed, way_out=way_out)


def _blind(layer: Layer) -> Iterator[Problem]:
    """A pool of which nobody says, or can learn, how much work or how many replicas there are; KEDA counts Jobs."""
    if layer.pods is None and layer.replicas is None and layer.scaled_job_strategy is None:
        allowed = "nothing says how many replicas there are"
        yield Problem(
            path="replicas", value=None, allowed=allowed, way_out="set replicas to a scale or a query, or pods.activity"
        )
    if layer.pods is None and not any(layer.signals.get(s) for s in _WORK):
        known = ", ".join(_WORK)
        allowed = "nothing says how much work there is"
        yield Problem(path="signals", value=None, allowed=allowed, way_out=f"set one of {known}, or pods.activity")
    if [s for s in _WORK if layer.signals.get(s)] == [Signal.TOKENS] and layer.tokens_per_pod is None:
        # What a pod carries is learnt while tasks queue before full pods, and of these nobody tells.
        allowed = "tokens are the only signal of work, so what a pod carries can never be learnt"
        yield Problem(path="tokens_per_pod", value=None, allowed=allowed, way_out="set it, or add signals.queue")


def _rule(place: int, window: Window) -> ScheduleRule:
    return ScheduleRule(
        name=window.name or f"schedule-{place}",
        days=frozenset(_DAYS.index(day) for day in window.days),
        start=time.fromisoformat(window.start),
        end=time.fromisoformat(window.end),
        zone=ZoneInfo(window.timezone),
        replicas=window.replicas,
    )


def _origin(settings: Settings, layered: _Layered, class_origin: str) -> dict[str, str]:
    """Which layer decided each setting."""
    origin = {field: layered.told(field) for field in Layer.model_fields if field != "signals"}
    origin |= {key: name for key, name in layered.origin.items() if key.startswith("signals.")}
    origin |= {"class": class_origin, "scrape_interval": _interval_origin(settings)}
    if _ORDER.index(settings.mode) < _ORDER.index(layered.layer.mode):
        origin["mode"] = "kill switch"
    return origin


def _interval_origin(settings: Settings) -> str:
    return "sources" if "interval" in settings.sources.prometheus.model_fields_set else "default"
