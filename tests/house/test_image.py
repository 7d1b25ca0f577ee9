"""The image, as far as that can be told without building it: it copies what is there and runs as the manifests do."""

from __future__ import annotations

import json
import re

import yaml
from typer.testing import CliRunner

from scaler.cli.app import app
from tests.house.source import ROOT

TEXT = (ROOT / "Dockerfile").read_text()
IGNORED = (ROOT / ".dockerignore").read_text().splitlines()
POD = yaml.safe_load((ROOT / "manifests/base/deployment.yaml").read_text())["spec"]["template"]["spec"]


def words(instruction: str) -> list[str]:
    """What an instruction in its JSON form says."""
    found = re.search(rf"^{instruction} (\[.*\])$", TEXT, re.MULTILINE)
    assert found is not None
    said: list[str] = json.loads(found[1])
    return said


def test_what_is_copied_is_there_and_not_ignored() -> None:
    """The build sees these and nothing else: no secret that lies about gets into a layer."""
    copied = {
        source for line in re.findall(r"^COPY (?!--from)(.*) \S+$", TEXT, re.MULTILINE) for source in line.split()
    }
    assert {f"!{source}" for source in copied} == {line for line in IGNORED if line.startswith("!")}
    assert "*" in IGNORED
    assert [source for source in copied if not (ROOT / source).exists()] == []


def test_it_runs_as_the_manifests_say() -> None:
    """As the same user, with a command whose arguments the Deployment replaces, and on the ports it names."""
    [container] = POD["containers"]
    assert f"USER {POD['securityContext']['runAsUser']}:{POD['securityContext']['runAsGroup']}" in TEXT
    assert (words("ENTRYPOINT"), words("CMD")[0], container["args"][0]) == (["scaler"], "serve", "serve")
    ports = sorted(port["containerPort"] for port in container["ports"])
    assert f"EXPOSE {' '.join(map(str, ports))}" in TEXT


def test_every_option_that_is_given_is_one() -> None:
    """By the image and by the Deployment."""
    told = CliRunner().invoke(app, ["serve", "--help"], env={"COLUMNS": "200"}).stdout
    [container] = POD["containers"]
    given = [word.partition("=")[0] for word in (*words("CMD"), *container["args"]) if word.startswith("--")]
    assert [option for option in given if option not in told] == []
