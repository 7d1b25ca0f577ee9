"""What the laws of the configuration are tried on: values that are allowed for each key, and whole layers of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TypeAlias

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from pydantic.alias_generators import to_camel

from scaler.config.metadata import TriggerMetadata, parse_metadata
from scaler.config.pool import PoolKey
from scaler.config.settings import Settings, parse_settings

Plain: TypeAlias = "str | int | float | bool | list[Plain] | dict[str, Plain] | None"
Section: TypeAlias = "dict[str, Plain]"

KEY = PoolKey("agents", "coder")

# Values that no two layers contradict each other with: min stays below max.
KNOBS: dict[str, SearchStrategy[Plain]] = {
    "mode": st.sampled_from(["off", "recommend", "auto"]),
    "min": st.integers(0, 10),
    "max": st.integers(11, 150_000),
    "target_wait_p95": st.floats(0.5, 3600.0) | st.sampled_from(["250ms", "30s", "1m30s", "2h"]),
    "slots_per_pod": st.integers(1, 64),
    "tokens_per_pod": st.none() | st.floats(1.0, 1e6),
    "activation": st.integers(0, 50) | st.floats(0.0, 50.0),
    "pause_up": st.booleans(),
    "pause_down": st.booleans(),
    "guarantee": st.sampled_from(["protected", "best-effort"]),
    "workload": st.sampled_from(["ReplicaSet", "StatefulSet"]),
    "task_limit": st.none() | st.floats(1.0, 1e6) | st.sampled_from(["90s", "2h"]),
    "ordinals_start": st.integers(0, 9),
    "scaled_job_strategy": st.sampled_from([None, "default", "accurate"]),
}
QUERY = 'sum(queued{namespace="{namespace}", pool="{name}"})'
READABLE: Section = {"sources": {"prometheus": {"url": "http://prometheus:9090"}}}
READ: Section = {"signals": {"queue": QUERY}, "replicas": QUERY}


def layers() -> SearchStrategy[Section]:
    """Some knobs, each with an allowed value."""
    return st.fixed_dictionaries({}, optional=KNOBS)


def triggers() -> SearchStrategy[dict[str, str]]:
    """What a trigger may say, as KEDA sends it. It has no word for null."""
    return layers().map(lambda layer: {to_camel(k): text(v) for k, v in layer.items() if v is not None})


def text(value: Plain) -> str:
    """A value as its author writes it into trigger metadata."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def parsed(section: Mapping[str, Plain]) -> Settings:
    """The settings of a file that says this."""
    return parse_settings(as_yaml(section))


def as_yaml(section: Mapping[str, Plain]) -> str:
    """The section as JSON, which is YAML 1.2."""
    return json.dumps(section)


def said(metadata: Mapping[str, str]) -> TriggerMetadata:
    """What a trigger with these keys says."""
    return parse_metadata({"scalerAddress": "scaler:6000", **metadata})
