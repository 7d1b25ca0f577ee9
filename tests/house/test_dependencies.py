"""What we stand on and what we ship: all that is used is declared, all that is declared is used, all is pinned."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterable
from importlib.metadata import packages_distributions, requires

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.house.source import ROOT, imported, modules

SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = SETTINGS["project"]
CONSTRAINTS = (ROOT / "constraints.txt").read_text().splitlines()

GENERATORS = {"grpcio-tools"}  # what generates our modules runs where they are changed, not where they are used


ASKED = {"base": PROJECT["dependencies"], **PROJECT["optional-dependencies"]}


def declared(*parts: str) -> set[str]:
    """The distributions that the base or an extra asks for."""
    return {canonicalize_name(Requirement(line).name) for part in parts for line in ASKED[part]}


def needed(names: Iterable[str]) -> set[str]:
    """These distributions and all that they need in turn, here and with this Python."""
    found: set[str] = set()
    ahead = list(names)
    while ahead:
        name = ahead.pop()
        if name not in found:
            found.add(name)
            asked = (Requirement(line) for line in requires(name) or ())
            ahead += [canonicalize_name(r.name) for r in asked if not r.marker or r.marker.evaluate({"extra": ""})]
    return found


def used() -> set[str]:
    """The distributions whose packages our modules import."""
    distributions = packages_distributions()
    packages = set().union(*(imported(module) for module in modules("scaler", generated=True)))
    third_party = packages - set(sys.stdlib_module_names) - {"scaler"}
    return {canonicalize_name(name) for package in third_party for name in distributions[package]}


def test_what_the_package_imports_is_what_it_declares() -> None:
    """Nothing is leant on through somebody else's dependency, and nothing is asked for in vain."""
    assert used() - GENERATORS == declared("base", "gate", "scaler", "sim", "sweep")


@pytest.mark.parametrize("part", ASKED)
def test_every_dependency_is_pinned(part: str) -> None:
    """A fresh machine gets, down to the last dependency, the versions that these tests passed with."""
    pinned = {canonicalize_name(line.partition("==")[0]) for line in CONSTRAINTS}
    assert needed(declared(part)) - pinned == set()


def test_constraints_name_versions_and_no_place() -> None:
    """A constraint is a name and a version: where packages come from is the machine's own affair."""
    assert [line for line in CONSTRAINTS if not re.fullmatch(r"[\w.-]+==[\w.+!]+", line)] == []
    names = [line.partition("==")[0].lower() for line in CONSTRAINTS]
    assert sorted(names) == names


def test_every_file_of_the_package_is_shipped() -> None:
    """What stands beside the modules is in the wheel too, so an installed copy does what a checkout does."""
    shipped = ["*.py", "*.pyc", *SETTINGS["tool"]["setuptools"]["package-data"]["scaler"]]
    files = [path for path in (ROOT / "scaler").rglob("*") if path.is_file()]
    assert [path for path in files if not any(path.match(pattern) for pattern in shipped)] == []
