"""``scaler config``: files are checked, described and explained without running anything."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.cli.conftest import Scaler

GOOD = """\
sources: {prometheus: {url: "http://prometheus:9090"}}
classes:
  coding:
    target_wait_p95: 20s
    signals: {queue: 'sum(queued{namespace="{namespace}", pool="{name}"})'}
    replicas: replicas{namespace="{namespace}", deployment="{name}"}
pools:
  agents/coder: {class: coding, max: 50}
"""
OFFICE = "schedule: [{name: office, days: [mon, fri], from: 08:00, to: 18:00, timezone: Europe/Berlin, replicas: 5}]"
BAD = GOOD.replace("max: 50", "maxx: 50").replace("20s", "-1")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where a configuration may stand."""
    return tmp_path / "pools.yaml"


def test_a_good_file_is_called_good(scaler: Scaler, file: Path) -> None:
    """In one line for people, and with its pools for programs."""
    file.write_text(GOOD)
    told = scaler("config", "check", file)
    assert (told.exit_code, told.stdout) == (0, f"{file} is good: 1 pool, 1 class\n")
    told = scaler("config", "check", file, "--json")
    expected = {"file": str(file), "good": True, "problems": [], "pools": ["agents/coder"], "classes": ["coding"]}
    only_rise = {"pools": ["agents/coder"], "classes": []}
    assert (told.exit_code, json.loads(told.stdout)) == (0, {**expected, "warm_pools": [], "only_rise": only_rise})
    file.write_text("warm_pools: {pools: {agents/python: {max: 3}}}")
    assert scaler("config", "check", file).stdout == f"{file} is good: 0 pools, 0 classes, 1 warm pool\n"
    assert json.loads(scaler("config", "check", file, "--json").stdout)["warm_pools"] == ["agents/python"]


def test_every_finding_is_told_and_the_exit_code_is_1(scaler: Scaler, file: Path) -> None:
    """A pipeline stops, and its log holds the whole list, each with file and line."""
    file.write_text(BAD)
    told = scaler("config", "check", file)
    assert (told.exit_code, told.stderr) == (1, "2 problems\n")
    first, second = told.stdout.splitlines()
    assert first.startswith(f"{file}: line 4: classes.coding.target_wait_p95 = -1: must be a duration above zero; ")
    assert second == f'{file}: line 8: pools.agents/coder.maxx = 50: unknown key; did you mean "max"?'


def test_findings_are_data_where_json_is_asked_for(scaler: Scaler, file: Path) -> None:
    """Nothing but JSON is printed, and each part of a finding has its own key."""
    file.write_text(BAD)
    told = scaler("config", "check", "--json", file)
    findings = json.loads(told.stdout)
    assert (told.exit_code, told.stderr, findings["good"]) == (1, "", False)
    assert findings["problems"][1] == {
        "path": "pools.agents/coder.maxx",
        "line": 8,
        "value": "50",
        "allowed": "unknown key",
        "way_out": 'did you mean "max"?',
    }


RISING = "protected and without a source of pods, so no pod is ever taken away and the target only rises"
PODS = "pods: {workload: 'deployments/{name}'}"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param(GOOD, f"warning: pools agents/coder: {RISING}; name pods and", id="APoolWithoutPods"),
        pytest.param(GOOD.partition("pools:")[0], f"warning: classes coding: {RISING}; ", id="AClassThatWaits"),
        pytest.param(GOOD.replace("max: 50", f"max: 50, {PODS}"), "", id="PodsThatAreSeen"),
        pytest.param(GOOD.replace("  coding:", f"  coding:\n    {PODS}"), "", id="PodsThatTheClassNames"),
        pytest.param(f"defaults: {{guarantee: best-effort}}\n{GOOD}", "", id="PodsThatAnybodyMayTake"),
        pytest.param(GOOD.replace("max: 50", "scaled_job_strategy: default"), "", id="JobsThatKedaStopsNoneOf"),
    ],
)
def test_a_pool_that_only_ever_rises_is_told_beforehand(scaler: Scaler, file: Path, text: str, told: str) -> None:
    """It is what was promised and no fault, so the exit code is 0 and what programs read stays as it is."""
    file.write_text(text)
    found = scaler("config", "check", file)
    assert (found.exit_code, found.stdout.startswith(f"{file} is good: ")) == (0, True)
    assert found.stderr.startswith(told)
    assert bool(found.stderr) == bool(told)


def test_an_explanation_says_that_the_pool_only_rises(scaler: Scaler, file: Path) -> None:
    """On stderr, beside the settings; best effort has nothing to be warned of."""
    file.write_text(GOOD)
    told = scaler("config", "explain", file, "agents/coder", "--json")
    assert (told.exit_code, json.loads(told.stdout)["guarantee"]["value"]) == (0, "protected")
    assert told.stderr.startswith(f"warning: agents/coder: {RISING}; name pods and serve with --control, ")
    assert told.stderr.endswith("or set guarantee: best-effort, under which the HPA takes whom it likes\n")
    assert scaler("config", "explain", file, "agents/coder", "--trigger", "guarantee=best-effort").stderr == ""


@pytest.mark.parametrize("text", ["", " \n", "null", "# nothing\n", "~"])
def test_an_empty_file_is_refused_as_it_is_when_it_is_served(scaler: Scaler, file: Path, text: str) -> None:
    """What check calls good can be served, at the start and later."""
    file.write_text(text)
    why = f"{file}: the file: must not be empty; write {{}} into it if it is to have no pools\n"
    told = scaler("config", "check", file)
    assert (told.exit_code, told.stdout) == (1, why)
    told = scaler("serve", file)
    assert (told.exit_code, told.stderr) == (2, why)
    file.write_text("{}")
    assert scaler("config", "check", file).exit_code == 0


def test_the_example_is_a_good_file(scaler: Scaler) -> None:
    """What is printed can be served as it is, and filled in from there."""
    told = scaler("config", "check", "-", stdin=scaler("config", "example").stdout)
    assert (told.exit_code, told.stdout) == (0, "- is good: 0 pools, 0 classes\n")


def test_a_file_may_come_from_standard_input(scaler: Scaler) -> None:
    """What a template engine prints can be checked before it is a file."""
    assert scaler("config", "check", "-", stdin=GOOD).exit_code == 0


@pytest.mark.parametrize("command", ["check", "explain"])
def test_a_file_that_cannot_be_read_is_bad_input(scaler: Scaler, tmp_path: Path, command: str) -> None:
    """Exit code 2 tells a missing file from a finding."""
    rest = ["agents/coder"] if command == "explain" else []
    told = scaler("config", command, tmp_path / "absent.yaml", *rest)
    assert (told.exit_code, told.stderr) == (2, f"{tmp_path}/absent.yaml cannot be read: No such file or directory\n")
    tmp_path.joinpath("binary").write_bytes(b"\xff\xfe")
    told = scaler("config", command, tmp_path / "binary", *rest)
    assert (told.exit_code, told.stderr) == (2, f"{tmp_path}/binary is not UTF-8 text\n")


def test_an_explanation_names_the_layer_that_decided_each_setting(scaler: Scaler, file: Path) -> None:
    """One row a setting, for a pool with and without what its trigger says."""
    file.write_text(GOOD)
    told = scaler("config", "explain", file, "agents/coder", "--trigger", "max=80", "--trigger", "pauseDown=true")
    assert told.exit_code == 0
    table = [re.split(r"\s{2,}", line.strip()) for line in told.stdout.splitlines()]
    rows = {row[0]: tuple(row[1:]) for row in table}
    assert rows["setting"] == ("value", "decided by")
    assert rows["max"] == ("80", "trigger metadata")
    assert rows["pause_down"] == ("true", "trigger metadata")
    assert rows["target_wait_p95"] == ("20.0", "class coding")
    assert rows["class"] == ("coding", "pool")
    assert rows["min"] == ("0", "default")
    told = scaler("config", "explain", file, "agents/coder", "--json")
    assert json.loads(told.stdout)["max"] == {"value": 50, "origin": "pool"}


def test_sources_and_windows_are_told_as_they_will_be_used(scaler: Scaler, file: Path) -> None:
    """Placeholders are filled, and a rule reads as a sentence."""
    file.write_text(GOOD.replace("max: 50", f"max: 50, {OFFICE}, pods: {{activity: ['http://{{name}}:9001']}}"))
    rows = json.loads(scaler("config", "explain", file, "agents/coder", "--json").stdout)
    assert rows["schedule"]["value"] == ["office: 5 replicas on mon, fri from 08:00 to 18:00 Europe/Berlin"]
    assert rows["pods"]["value"] == ["http://coder:9001/activity"]
    queue = 'sum(queued{namespace="agents", pool="coder"}) at http://prometheus:9090'
    assert rows["signals.queue"] == {"value": queue, "origin": "class coding"}


@pytest.mark.parametrize(
    ("arguments", "code", "why"),
    [
        (["agents/coder", "--trigger", "maxx=1"], 1, 'maxx = 1: unknown key; did you mean "max"?'),
        (["agents/coder", "--trigger", "pool=billing/x"], 1, "a pool is read only by its own namespace"),
        (["agents/coder", "--trigger", "max"], 2, "--trigger 'max' has no value: write KEY=VALUE, as in max=80"),
        (["agents/unknown"], 1, "replicas: nothing says how many replicas there are"),
        (["agents/unknown"], 1, "pools.yaml has no pool agents/unknown: it has agents/coder; what holds for one that"),
        (["coder"], 2, "'coder' is no pool: write NAMESPACE/NAME, as in agents/coder"),
    ],
)
def test_what_a_trigger_may_not_say_is_refused_here_too(
    scaler: Scaler, file: Path, arguments: list[str], code: int, why: str
) -> None:
    """A ScaledObject can be tried before it is applied."""
    file.write_text(GOOD)
    told = scaler("config", "explain", file, *arguments)
    assert told.exit_code == code
    assert why in told.stderr


def test_a_pool_that_a_trigger_would_bring_is_explained_and_not_taken_for_one_of_the_file(
    scaler: Scaler, file: Path
) -> None:
    """A slip of the pen may have a class that suits it: who meant a pool of the file sees that it is none."""
    file.write_text(GOOD)
    told = scaler("config", "explain", file, "agents/codr", "--trigger", "class=coding")
    assert told.exit_code == 0
    assert "target_wait_p95" in told.stdout
    assert f"{file} has no pool agents/codr: it has agents/coder; " in told.stderr


@pytest.mark.parametrize(("of", "key"), [("file", "classes"), ("trigger", "targetWaitP95")])
def test_the_schemas_are_printed(scaler: Scaler, of: str, key: str) -> None:
    """Of the file and of a trigger's metadata, each in its own spelling."""
    told = scaler("config", "schema", "--of", of)
    assert told.exit_code == 0
    assert key in json.loads(told.stdout)["properties"]
