"""A resolved pool as rows for people and programs: each setting, its value, and the layer that decided it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

from scaler.config.knobs import Day
from scaler.config.path import written
from scaler.config.pool import (
    ActivityEndpoints,
    JsonNumber,
    LiveScale,
    PodSource,
    PoolSpec,
    PrometheusQuery,
    ScheduleRule,
    SignalSource,
    WatchedPods,
)

Value: TypeAlias = "str | int | float | bool | list[str] | None"


class Row(NamedTuple):
    """One setting. Lengths of time are in seconds."""

    key: str
    value: Value
    origin: str

    @property
    def text(self) -> str:
        """The value as it would stand in the file; a list has one line for each item."""
        if isinstance(self.value, list):
            return "\n".join(self.value) or "[]"
        return self.value if isinstance(self.value, str) else json.dumps(self.value)


def rows(spec: PoolSpec) -> tuple[Row, ...]:
    """Every setting of the pool, the knobs first."""
    return tuple(Row(key, value, spec.origin.get(key, "default")) for key, value in _values(spec))


def _values(spec: PoolSpec) -> Iterator[tuple[str, Value]]:
    policy = spec.policy
    yield "class", spec.class_name
    yield "mode", policy.mode.value
    yield "min", policy.min_replicas
    yield "max", policy.max_replicas
    yield "budget_per_hour", policy.budget_per_hour
    yield "pod_price_per_hour", policy.pod_price_per_hour
    yield "target_wait_p95", policy.target_wait_p95
    yield "slots_per_pod", policy.slots_per_pod
    yield "schedule", [_window(rule) for rule in spec.schedule]
    yield "tokens_per_pod", policy.tokens_per_pod
    yield "activation", policy.activation
    yield "pause_up", policy.pause_up
    yield "pause_down", policy.pause_down
    yield "guarantee", policy.guarantee.value
    yield "guard", spec.guard.value
    yield "grace", spec.essentials.grace
    yield "spread", [over.value for over in spec.essentials.spread]
    yield "workload", policy.workload.value
    yield "ordinals_start", policy.ordinals_start
    yield "task_limit", policy.task_limit
    yield "scaled_job_strategy", None if spec.job_strategy is None else spec.job_strategy.value
    yield "scrape_interval", policy.scrape_interval
    yield "replicas", _source(spec.replicas)
    yield "pods", _pods(spec.pods)
    for signal, source in spec.signals.items():
        yield f"signals.{signal}", _source(source)


def _source(source: SignalSource | None) -> str | None:
    if source is None:
        return None
    match source:
        case PrometheusQuery():
            return f"{source.query} at {source.url}"
        case JsonNumber():
            return f"{written(source.path)} at {source.url}"
        case LiveScale():
            return source.url


def _pods(source: PodSource | None) -> list[str] | None:
    match source:
        case None:
            return None
        case ActivityEndpoints():
            return [f"{url}/activity" for url in source.urls]
        case WatchedPods():
            return [f"{source.kind}/{source.name}"]


def _window(rule: ScheduleRule) -> str:
    days = ", ".join(day for i, day in enumerate(Day) if i in rule.days)
    return (
        f"{rule.name}: {rule.replicas} replicas on {days} from {rule.start:%H:%M} to {rule.end:%H:%M} {rule.zone.key}"
    )
