"""``scaler gate``: what it examines, makes and waits for, and how it stands before an agent."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from asyncio.subprocess import PIPE
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from scaler.agent.conformance.checks import CHECKS
from scaler.agent.conformance.subject import Subject
from scaler.agent.desk import WORD
from scaler.controller.orders import Signer
from tests.agent.faulty import examined, none, shrugs
from tests.agent.material import Site
from tests.cli.conftest import Scaler
from tests.house.source import ROOT
from tests.support.process import stop

ALONE = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {brought!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
from scaler.cli import main
sys.argv = ["scaler", *{arguments!r}]
main()
"""
BROUGHT_BY_OTHERS = ("grpc", "kubernetes", "numpy", "prometheus_client", "requests", "structlog", "yaml")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A pod's folder and keys."""
    return Site(tmp_path / "pod")


@pytest.fixture
def key(site: Site, tmp_path: Path) -> Path:
    """The private key whose public half the pod has."""
    file = tmp_path / "key.pem"
    file.write_text(site.signer.pem())
    return file


@pytest.fixture
def agent(site: Site) -> Iterator[Subject]:
    """A gate that keeps the contract."""
    with examined(site, none) as subject:
        yield subject


def test_a_gate_is_examined_by_its_url(scaler: Scaler, agent: Subject, key: Path) -> None:
    """What cannot be seen from outside is told, and is no fault."""
    told = scaler("gate", "check", agent.url, "--key", key)
    assert told.exit_code == 0, told.output
    assert "holds    drain: An idle agent drains at once" in told.stdout
    assert "not seen busy" in told.stdout
    assert "nobody can give this agent work: --work" in told.stdout


def test_the_findings_are_there_for_programs(scaler: Scaler, agent: Subject, key: Path) -> None:
    """Every sentence of the contract, with what was found."""
    said = json.loads(scaler("gate", "check", agent.url, "--key", key, "--json").stdout)
    assert said["keeps"] is True
    assert [finding["check"] for finding in said["findings"]] == list(CHECKS)


def test_a_broken_gate_ends_in_failure(scaler: Scaler, site: Site, key: Path) -> None:
    """And says which sentence, and what was seen instead."""
    with examined(site, shrugs(403)) as broken:
        told = scaler("gate", "check", broken.url, "--key", key)
    assert told.exit_code == 1
    assert "BROKEN   forged-order" in told.stdout
    assert "it must be 403" in told.stdout


def test_commands_give_work_and_restart(scaler: Scaler, agent: Subject, key: Path) -> None:
    """One that fails to do what it should is a fault that is told."""
    told = scaler("gate", "check", agent.url, "--key", key, "--restart", "false")
    assert told.exit_code == 1
    assert "'false' ended with 1, so the agent was not restarted" in told.stdout


def test_what_cannot_be_examined_is_bad_input(scaler: Scaler, tmp_path: Path, key: Path) -> None:
    """A key that is none, a URL that is none."""
    told = scaler("gate", "check", "http://127.0.0.1:1", "--key", tmp_path / "absent.pem")
    assert (told.exit_code, "make one with: scaler gate keys" in told.stderr) == (2, True)
    told = scaler("gate", "check", "http://10.1.2.3:port", "--key", key)
    assert (told.exit_code, "'http://10.1.2.3:port' is no place to ask" in told.stderr) == (2, True)
    told = scaler("gate", "check", "10.1.2.3:8476", "--key", key)
    assert (told.exit_code, "write a URL, as in http://10.1.2.3:8476" in told.stderr) == (2, True)


def test_keys_are_made_and_rotated(scaler: Scaler, tmp_path: Path) -> None:
    """The Secret signs what the key set of each namespace knows; while they are rotated, the set has both."""
    first = list(yaml.safe_load_all(scaler("gate", "keys", "--agents", "agents", "--agents", "tools").stdout))
    assert [(each["kind"], each["metadata"]["namespace"]) for each in first] == [
        ("Secret", "agent-scaler"),
        ("ConfigMap", "agents"),
        ("ConfigMap", "tools"),
    ]
    secret, known = tmp_path / "key.pem", tmp_path / "keys.json"
    secret.write_text(first[0]["stringData"]["key.pem"])
    known.write_text(first[1]["data"]["keys.json"])
    old = dict(Signer.read(secret).jwk())
    assert json.loads(known.read_text()) == {"keys": [old]}
    second = list(yaml.safe_load_all(scaler("gate", "keys", "--known", known).stdout))
    keys = json.loads(second[1]["data"]["keys.json"])["keys"]
    secret.write_text(second[0]["stringData"]["key.pem"])
    assert keys == [old, dict(Signer.read(secret).jwk())]
    told = scaler("gate", "keys", "--known", secret)
    assert (told.exit_code, "is no JSON Web Key Set" in told.stderr) == (2, True)


def test_a_hook_without_a_gate_fails(scaler: Scaler, tmp_path: Path) -> None:
    """It says what is missing: the kubelet shows that as an event."""
    told = scaler("gate", "prestop", "--state", tmp_path)
    assert told.exit_code == 1
    assert "mount the gate's own folder" in told.stderr
    (tmp_path / WORD).write_text('{"word": "sesame"}')
    told = scaler("gate", "prestop", "--state", tmp_path, "--url", "http://127.0.0.1:port")
    assert (told.exit_code, told.stderr) == (1, "nonnumeric port: 'port'\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--slots", "1"], "--upstream is missing; it is the agent's URL"),
        (["--upstream", "http://a", "--listen", "8476"], "--listen '8476' is no place to listen"),
        (["--upstream", "http://a"], "POD_UID is not set"),
        (["--upstream", "foo"], "--upstream 'foo' is no address: write the agent's URL, as in http://127.0.0.1:8000"),
        (["--upstream", "http://a:b"], "--upstream 'http://a:b' is no address"),
        (["--upstream", "http://a b"], "--upstream 'http://a b' is no address"),
        (["--upstream", "http://a", "--longest", "-5"], "--longest -5 is no length of time: write seconds above 0"),
        (["--upstream", "http://a", "--longest", "inf"], "--longest inf is no length of time"),
        (["--upstream", "http://a", "--grace", "nan"], "--grace nan is no length of time: write the pod's termination"),
        (["--upstream", "http://a", "--token-file", "/nope"], "--token-file /nope cannot be read: No such file"),
    ],
)
def test_a_sidecar_says_what_it_lacks(scaler: Scaler, arguments: list[str], said: str) -> None:
    """Exit code 2, with the option or the variable."""
    told = scaler("gate", *arguments)
    assert told.exit_code == 2
    assert said in told.stderr


def test_a_state_that_cannot_be_kept_is_told_by_its_name(
    scaler: Scaler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file where the folder should be: nobody needs to look at --listen."""
    state = tmp_path / "state"
    state.touch()
    monkeypatch.setenv("POD_UID", "coder-0")
    monkeypatch.setenv("AGENT_SCALER_STATE", str(state))
    told = scaler("gate", "--upstream", "http://127.0.0.1:1", "--listen", "127.0.0.1:0")
    assert told.exit_code == 2
    assert told.stderr.startswith(f"AGENT_SCALER_STATE {state} cannot be used: File exists; it must be a folder in an")


async def test_keys_may_come_later_and_their_absence_is_told(tmp_path: Path) -> None:
    """An order is believed as soon as the file is there, so the sidecar stands; and says what it lacks until then."""
    command = [sys.executable, "-m", "scaler", "gate", "--upstream", "http://127.0.0.1:1", "--listen", "127.0.0.1:0"]
    place = {"POD_UID": "coder-0", "AGENT_SCALER_STATE": str(tmp_path), "AGENT_SCALER_KEYS": "/nope"}
    process = await asyncio.create_subprocess_exec(*command, env={**os.environ, **place}, stderr=PIPE)
    try:
        assert process.stderr is not None
        line = json.loads(await process.stderr.readline())
        told = {key: line[key] for key in ("event", "level", "file", "why")}
        event = "the keys cannot be read, so no order is believed"
        assert told == {"event": event, "level": "warning", "file": "/nope", "why": "No such file or directory"}
        assert line["timestamp"].endswith("Z"), "the local time of a node is nobody's"
        assert datetime.fromisoformat(line["timestamp"]).tzinfo is UTC
        assert process.returncode is None
    finally:
        await stop(process)


@pytest.mark.parametrize(
    "arguments", [["--agents", "A B"], ["--agents", "agents", "--agents", "a\nkind: Pod"], ["--namespace", "a" * 64]]
)
def test_keys_are_made_for_no_namespace_that_there_cannot_be(scaler: Scaler, arguments: list[str]) -> None:
    """What is printed is applied: nothing gets into it that would make another manifest of it."""
    told = scaler("gate", "keys", *arguments)
    assert (told.exit_code, told.stdout) == (2, "")
    assert f"{arguments[-2]} {arguments[-1]!r} is no namespace: it must be at most 63 lower-case letters" in told.stderr


@pytest.mark.parametrize("arguments", [["gate", "--upstream", "http://127.0.0.1:1"], ["gate", "keys"]], ids=" ".join)
def test_the_gate_needs_its_own_extra_alone(arguments: list[str]) -> None:
    """An agent's image has nothing of the scaler's service in it."""
    code = ALONE.format(brought=BROUGHT_BY_OTHERS, arguments=arguments)
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False, env={})
    assert "No module named" not in ran.stderr
    assert "pip install" not in ran.stderr
    assert ran.returncode == (0 if "keys" in arguments else 2), ran.stderr
