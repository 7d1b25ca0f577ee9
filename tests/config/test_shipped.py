"""What ships is what the scaler accepts and what its promises need: manifests and KEDA objects, without a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from scaler.config.check import checked
from scaler.config.metadata import parse_metadata, pool_key, warm_key
from scaler.config.resolve import resolve
from tests.house.source import ROOT

CONFIGURATIONS = sorted((ROOT / "manifests").rglob("pools.yaml"))
OURS = {"external", "external-push"}


def documents() -> Iterator[tuple[Path, dict[str, Any]]]:
    """Every object under keda/, with its file."""
    for path in sorted((ROOT / "keda").glob("*.yaml")):
        yield from ((path, document) for document in yaml.safe_load_all(path.read_text()))


SCALED = {path.stem: document for path, document in documents() if document["kind"] in {"ScaledObject", "ScaledJob"}}
BEHAVED = {name: document for name, document in SCALED.items() if document["kind"] == "ScaledObject"}


@pytest.mark.parametrize("path", CONFIGURATIONS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_configuration_that_ships_is_good(path: Path) -> None:
    """As `scaler config check` says."""
    checked(path.read_text())


@pytest.mark.parametrize("name", SCALED)
def test_every_trigger_that_ships_is_admitted_by_the_configuration_that_ships(name: str) -> None:
    """Its class exists, its keys are known, and the pool it makes contradicts nothing."""
    document = SCALED[name]
    settings = checked((ROOT / "manifests" / "base" / "pools.yaml").read_text())
    (trigger,) = (trigger for trigger in document["spec"]["triggers"] if trigger["type"] in OURS)
    metadata = parse_metadata(trigger["metadata"])
    if (warm := warm_key(metadata, document["metadata"]["namespace"])) is not None:
        assert warm.name == document["spec"]["scaleTargetRef"]["name"]
        return
    key = pool_key(metadata, document["metadata"]["namespace"], document["metadata"]["name"])
    assert resolve(settings, key, metadata).key == key


@pytest.mark.parametrize("name", BEHAVED)
def test_every_scaled_object_leaves_the_hpa_nothing_to_decide(name: str) -> None:
    """No tolerance, no window and no rate that binds, in either direction."""
    behavior = BEHAVED[name]["spec"]["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    for direction, binding in (
        ("scaleUp", {"type": "Pods", "value": 10_000}),
        ("scaleDown", {"type": "Percent", "value": 100}),
    ):
        rules = behavior[direction]
        assert rules["tolerance"] == "0"
        assert rules["stabilizationWindowSeconds"] == 0
        assert rules["policies"] == [binding | {"periodSeconds": 15}]


@pytest.mark.parametrize("name", BEHAVED)
def test_no_fallback_that_ships_can_take_a_pod_away(name: str) -> None:
    """None at all, or one that never goes below what there is."""
    fallback = BEHAVED[name]["spec"].get("fallback")
    assert fallback is None or fallback["behavior"] == "currentReplicasIfHigher"


@pytest.mark.parametrize("name", [name for name, document in SCALED.items() if document["kind"] == "ScaledJob"])
def test_every_scaled_job_tells_the_scaler_its_strategy(name: str) -> None:
    """KEDA does not say it, and the number depends on it."""
    spec = SCALED[name]["spec"]
    assert spec["triggers"][0]["metadata"]["scaledJobStrategy"] == spec["scalingStrategy"]["strategy"]
