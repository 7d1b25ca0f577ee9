"""What ships goes together: no two files fight for an object, and what one needs of the other is there and told."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from scaler.config.check import checked
from scaler.config.knobs import Layer
from scaler.config.metadata import parse_metadata
from scaler.config.pool import PoolKey
from scaler.config.resolve import resolve
from scaler.core import explain
from scaler.core.policy import Guarantee, Policy
from scaler.core.reasons import Reason
from scaler.core.types import Signal, Unknown
from tests.core.pool import Story, idle
from tests.house.shipping import MANIFESTS, defined, kustomizations, templates
from tests.house.source import ROOT

PAGES: Final = {path.name: path.read_text() for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md"))}
POLICIES: Final = (MANIFESTS / "base" / "networkpolicies.yaml").read_text()
BASE: Final = MANIFESTS / "base" / "pools.yaml"
FIRST_WEEK: Final = MANIFESTS / "overlays" / "audit-first"
GUARD: Final = "sandbox.users.io/agent-scaler"
TEMPLATES: Final = templates()


def test_no_object_is_defined_by_two_files() -> None:
    """Whoever applies one after the other would take labels and annotations of the first away again, without a word."""
    places = defaultdict(set)
    for one in defined():
        places[one.name].add(str(one.path.relative_to(ROOT)))
    assert {name: paths for name, paths in places.items() if len(paths) > 1} == {}
    assert len(places) > 50  # the files are really read


def labels() -> set[str]:
    """Every label of ours that a NetworkPolicy asks of other namespaces."""
    selectors = re.findall(r"namespaceSelector:\n\s+matchLabels: {(.*?)}", POLICIES)
    return {label for said in selectors for label in re.findall(r"agent-scaler\.io/\w+", said)}


@pytest.mark.parametrize("label", sorted(labels()))
def test_every_label_that_the_network_goes_by_is_told(label: str) -> None:
    """In the table of the operators' page; or what is installed by the book is cut off."""
    assert re.search(rf'^\| `{label}: "true"` \|', PAGES["operations.md"], re.MULTILINE)


@pytest.mark.parametrize("page", ["README.md", "gate.md", "signals.md", "sandboxes.md"])
def test_whoever_needs_such_a_label_is_led_to_it(page: str) -> None:
    """By a link to that table, whose heading is there."""
    assert "operations.md#what-the-network-lets-through" in PAGES[page]
    assert "\n## What the network lets through\n" in PAGES["operations.md"]


def test_every_namespace_of_agents_lets_the_scaler_reach_them() -> None:
    """Those that ship; there a pod that cannot be asked counts as busy for ever."""
    homes = {
        one.body["metadata"]["name"]: one.body["metadata"]["labels"] for one in defined() if "Namespace" in one.name
    }
    agents = {name: said.get("agent-scaler.io/agents") for name, said in homes.items() if name != "agent-scaler"}
    assert agents == {"agents": "true", "sandboxes": "true"}


def guarded(template: dict[str, Any]) -> bool:
    """Whether pods of it ask to be guarded, or have a gate."""
    asks = template.get("metadata", {}).get("labels", {}).get(GUARD) == "guard"
    return asks or "AGENT_SCALER_" in str(template)


@pytest.mark.parametrize("name", [name for name, template in TEMPLATES.items() if guarded(template)])
def test_a_template_that_asks_to_be_guarded_has_what_its_gate_needs(name: str) -> None:
    """Who it is, where its state is kept, and whose orders to believe: without the last it refuses every drain."""
    spec = TEMPLATES[name]["spec"]
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    [container] = [each for each in spec["containers"] if "AGENT_SCALER_STATE" in str(each)]
    told = {each["name"]: each for each in container["env"]}
    mounts = {each["mountPath"]: volumes[each["name"]] for each in container["volumeMounts"]}
    assert told["POD_UID"]["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.uid"
    assert "emptyDir" in mounts[told["AGENT_SCALER_STATE"]["value"]]
    keys = Path(told["AGENT_SCALER_KEYS"]["value"])
    assert (keys.name, mounts[str(keys.parent)]["configMap"]) == ("keys.json", {"name": "agent-scaler-keys"})


def test_some_template_asks_to_be_guarded() -> None:
    """Or the law above would hold by itself."""
    assert [name for name, template in TEMPLATES.items() if guarded(template)]


@pytest.mark.parametrize("cls", ["coding", "research"])
def test_classes_of_the_base_fall_only_as_best_effort_where_no_pod_is_seen(cls: str) -> None:
    """That is what the base is without the drain controller, and what its file says."""
    text = BASE.read_text()
    spec = resolve(checked(text), PoolKey("agents", "coder"), parse_metadata({"class": cls}))
    assert (spec.policy.guarantee, spec.pods) == (Guarantee.PROTECTED, None)
    assert left_of_three(spec.policy) == (3, Reason.UNSEEN)
    assert left_of_three(replace(spec.policy, guarantee=Guarantee.BEST_EFFORT))[0] == 0
    for said in ("`protected`", "--control", f"`{Reason.UNSEEN.value}`", "`guarantee: best-effort`"):
        assert said in text


def left_of_three(policy: Policy) -> tuple[int | None, Reason]:
    """The target of a pool of three that nobody has needed for an hour and whose pods nobody sees, and its reason."""
    story = Story.of(policy, *map(idle, "abc"))
    story.unseen = Unknown("no pod source")
    story.signals = {Signal.QUEUE: 0.0, Signal.INFLIGHT: 0.0}
    for _ in range(720):
        outcome = story.tick()
    return story.memory.target, explain.reason(outcome)


@pytest.mark.parametrize(("folder", "more"), [(FIRST_WEEK, {"defaults"}), (MANIFESTS / "components/mtls", {"tls"})])
def test_what_takes_the_place_of_the_bases_pools_has_all_that_these_have(folder: Path, more: set[str]) -> None:
    """A class that is added to one is in the other, so the examples of keda/ find theirs in each."""
    base, other = (yaml.safe_load((place / "pools.yaml").read_text()) for place in (BASE.parent, folder))
    assert {key: value for key, value in other.items() if key not in more} == base
    assert more <= set(other)


def test_the_first_week_only_watches_deletions() -> None:
    """By the guard of every pool, and by the bindings of those policies that guard them."""
    assert yaml.safe_load((FIRST_WEEK / "pools.yaml").read_text())["defaults"] == {"guard": "audit"}
    said = kustomizations()[FIRST_WEEK]
    assert said["resources"] == ["../protected"]
    assert [patch["target"]["name"] for patch in said["patches"]] == ["agent-scaler-(delete|owners|sandboxes)"]


def test_alert_rules_go_where_they_are_applied() -> None:
    """A pod mounts only ConfigMaps of its own namespace, and Prometheus is in another than we are."""
    assert "namespace" not in kustomizations()[MANIFESTS / "observability"]


def test_switches_are_called_as_the_configuration_calls_them() -> None:
    """What the example of a pause names beside its annotations."""
    text = (ROOT / "keda" / "scaledobject-paused.yaml").read_text()
    named = set(re.findall(r"`(\w+)`", text)) | set(re.findall(r"\bpause[_A-Z]\w+", text))
    assert {"pause_up", "pause_down"} <= named <= set(Layer.model_fields)


def test_nothing_is_installed_from_a_registry_that_does_not_have_it() -> None:
    """The package may not be uploaded, so no page says to fetch it."""
    assert "Private :: Do Not Upload" in (ROOT / "pyproject.toml").read_text()
    assert [page for page, text in PAGES.items() if re.search(r"pip install '?agent-scaler", text)] == []


def test_the_first_page_says_how_a_shell_finds_what_it_shows() -> None:
    """Before the first command that stands in the environment alone."""
    text = PAGES["README.md"]
    assert text.index(". .venv/bin/activate") < min(text.index("$ scaler "), text.index("`python -m benchmarks"))
