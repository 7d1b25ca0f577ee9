"""Outcomes as JSON: one row a pool for the list, and all that a decision stands on for the explanation.

What is not known is null in the list and says why in the explanation. Lengths of time are in seconds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TypeAlias

from scaler.config.pool import PoolSpec
from scaler.config.rows import rows
from scaler.core.explain import labels, reason, sentence
from scaler.core.record import to_json
from scaler.core.types import Instant, Known, Sample, Unknown
from scaler.live import telling
from scaler.live.board import Board, Posted

Json: TypeAlias = "str | int | float | bool | Sequence[Json] | Mapping[str, Json] | None"


def row(spec: PoolSpec, posted: Posted | None, board: Board, now: Instant) -> dict[str, Json]:
    """One pool in the list; ``outcome`` is null before its first tick."""
    return {
        "namespace": spec.key.namespace,
        "name": spec.key.name,
        "class": spec.class_name,
        "mode": spec.policy.mode.value,
        "min": spec.policy.min_replicas,
        "max": spec.policy.max_replicas,
        "explain": f"/api/v1/pools/{spec.key}/explain",
        "outcome": None if posted is None else {**_when(posted, board, now), **_figures(spec, posted)},
    }


def explanation(spec: PoolSpec, posted: Posted, board: Board, now: Instant) -> dict[str, Json]:
    """Everything about one pool's latest decision, and where each setting came from."""
    outcome = posted.outcome
    return {
        "namespace": spec.key.namespace,
        "name": spec.key.name,
        "sentence": sentence(outcome),
        "labels": labels(outcome),
        **_when(posted, board, now),
        "decision": {"kind": labels(outcome)["decision"], **_json(outcome.decision)},
        "report": _told(telling.value(outcome, spec.job_strategy)),
        "active": _told(telling.activity(posted, spec.job_strategy)),
        "trail": [_json(step) for step in outcome.trail],
        "orders": [_json(order) for order in outcome.orders],
        "evidence": _json(outcome.evidence),
        "settings": {r.key: {"value": r.value, "origin": r.origin} for r in rows(spec)},
    }


def _when(posted: Posted, board: Board, now: Instant) -> dict[str, Json]:
    at = datetime.fromtimestamp(posted.at, UTC).isoformat()
    return {"at": at, "age": round(posted.age(now), 3), "stale": not board.is_fresh(posted, now)}


def _figures(spec: PoolSpec, posted: Posted) -> dict[str, Json]:
    """The figures of one tick, without what they stand on."""
    outcome = posted.outcome
    demand = outcome.evidence.demand
    return {
        "target": _plain(outcome.decision.replicas),
        "report": _plain(telling.value(outcome, spec.job_strategy)),
        "active": _plain(telling.activity(posted, spec.job_strategy)),
        "reason": reason(outcome).value,
        "sentence": sentence(outcome),
        "demand": {name: _value(sample) for name, sample in demand.by_signal.items()},
        "need": {"up": demand.need_up, "down": demand.need_down},
        "supply": _json(outcome.evidence.supply),
    }


def _plain(value: int | bool | Unknown) -> int | bool | None:
    return None if isinstance(value, Unknown) else value


def _told(value: int | bool | Unknown) -> Json:
    return {"unknown": value.why} if isinstance(value, Unknown) else value


def _value(sample: Sample) -> float | None:
    return sample.value if isinstance(sample, Known) else None


def _json(value: object) -> dict[str, Json]:
    """A core value's fields as they are recorded, with null where JSON has no number for a figure."""
    recorded: dict[str, Json] = to_json(value)
    return {key: _finite(item) for key, item in recorded.items()}


def _finite(value: Json) -> Json:
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
