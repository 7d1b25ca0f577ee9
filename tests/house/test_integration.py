"""Continuous integration has the time that its stories take, and does not build anew what it has built."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import yaml

from tests.cluster.harness.assets import Assets
from tests.cluster.harness.tools import MODULES, TOOLS
from tests.house.source import ROOT

JOB: Final = yaml.safe_load((ROOT / ".github/workflows/test.yml").read_text())["jobs"]["test"]
RUNS: Final = [step.get("run") or step["uses"].partition("@")[0] for step in JOB["steps"]]
STORIES: Final = 25  # minutes that those on a cluster take in all, and once more where each of them failed


def cache(act: str) -> dict[str, Any]:
    """The step that restores or saves what was built."""
    steps: list[dict[str, Any]] = [step for step in JOB["steps"] if f"actions/cache/{act}@" in step.get("uses", "")]
    [found] = steps
    return found


def test_it_has_time_for_the_first_build_and_for_every_story_twice() -> None:
    """The Makefile says how long the build takes."""
    built = re.search(r"builds both first, once, in about (\d+) minutes", (ROOT / "Makefile").read_text())
    assert built is not None
    assert JOB["timeout-minutes"] >= int(built[1]) + 2 * STORIES


def test_what_is_kept_is_where_the_programs_are_built() -> None:
    """And both ends of the cache mean the same."""
    restore, save = cache("restore"), cache("save")
    kept = Path.home() / restore["with"]["path"].removeprefix("~/")
    assert {kept / f"{tool.name}-{tool.key}" for tool in TOOLS.values()} == {
        Assets(None, Path.home() / ".cache" / "agent-scaler").folder(tool) for tool in TOOLS.values()
    }
    assert save["with"]["path"] == restore["with"]["path"]
    assert save["with"]["key"] == f"${{{{ steps.{restore['id']}.outputs.cache-primary-key }}}}"


def test_it_is_named_by_what_decides_the_programs() -> None:
    """The modules with their hashes, and the file with the flags that they are built with."""
    found = re.search(r"hashFiles\((.*?)\)", cache("restore")["with"]["key"])
    assert found is not None
    patterns = re.findall(r"'(.*?)'", found[1])
    named = {
        path for pattern in patterns for path in (*ROOT.glob(pattern), *ROOT.glob(f"{pattern}/*")) if path.is_file()
    }
    assert {path for path in MODULES.rglob("*") if path.is_file()} <= named
    assert ROOT / "tests/cluster/harness/tools.py" in named


def test_it_is_kept_before_anything_can_fail() -> None:
    """A story that fails is no reason to build everything once more."""
    order = ["actions/cache/restore", "make assets", "actions/cache/save", ".ci/run"]
    assert [run for run in RUNS if run in order] == order
