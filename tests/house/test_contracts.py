"""The dependency direction, executed: it holds in the tree as it is, and each contract goes red when it is broken."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.house.source import ROOT

BREACHES = [
    ("dependencies point inwards", "core/breach.py", "import scaler.config"),
    ("dependencies point inwards", "live/breach.py", "import scaler.web"),
    ("dependencies point inwards", "sim/breach.py", "import scaler.web"),
    ("dependencies point inwards", "attic/breach.py", "import math"),
    ("the core is pure", "core/breach.py", "import asyncio"),
    ("the simulator never sees the live shell", "sim/breach.py", "import time"),
    ("the peers share nothing with our decision", "sim/peers/breach.py", "import scaler.core.dampen"),
    (
        "the peers share nothing with our decision",
        "sim/warm_peers.py",
        "import scaler.core.types, scaler.core.warmpool",
    ),
    ("the agent imports nothing of ours", "agent/breach.py", "import scaler.core"),
    ("only the command line imports the agent", "live/breach.py", "import scaler.agent"),
]


def lint(tree: Path) -> subprocess.CompletedProcess[str]:
    """Check the contracts of the ``scaler`` package below ``tree``."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-logo", "--no-cache"]
    return subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The house once more, with an agent's room in it, to be broken."""
    shutil.copytree(ROOT / "scaler", tmp_path / "scaler", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    furnish(tmp_path / "scaler/agent")
    return tmp_path


def furnish(room: Path) -> None:
    """Make a room where there is none."""
    room.mkdir(exist_ok=True)
    room.joinpath("__init__.py").touch()


def test_the_tree_as_it_is_keeps_every_contract() -> None:
    """What is committed points inwards."""
    linted = lint(ROOT)
    assert linted.returncode == 0, linted.stdout


@pytest.mark.parametrize(("contract", "module", "source"), BREACHES)
def test_one_import_too_many_breaks_its_contract(copy: Path, contract: str, module: str, source: str) -> None:
    """Each contract can fail: one import in the wrong place, and it is named as broken."""
    breach = copy / "scaler" / module
    furnish(breach.parent)
    breach.write_text(source)
    linted = lint(copy)
    assert linted.returncode == 1, linted.stdout
    assert f"{contract} BROKEN" in linted.stdout


def test_every_contract_is_seen_broken() -> None:
    """No contract is declared that the breaches above do not prove."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    declared = {contract["name"] for contract in settings["tool"]["importlinter"]["contracts"]}
    assert declared == {contract for contract, _, _ in BREACHES}
