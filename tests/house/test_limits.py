"""What a reader may rely on: modules are short, functions are short, and the core has no exceptions."""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.source import ROOT, functions, imported, modules

LONGEST_MODULE = 300
LONGEST_FUNCTION = 40
MEDIAN_FUNCTION = 10

PURE = {
    *("__future__", "bisect", "collections", "dataclasses", "enum", "functools", "heapq", "itertools", "json", "math"),
    *("operator", "re", "statistics", "types", "typing"),
    *("numpy", "scaler"),
}


def lengths() -> dict[str, int]:
    """Lines of every function of the package, docstring included, by where it stands."""
    return {
        f"{module.relative_to(ROOT)}:{function.lineno} {function.name}": function.end_lineno - function.lineno + 1
        for module in modules("scaler")
        for function in functions(module)
        if function.end_lineno is not None
    }


def test_modules_are_short() -> None:
    """No module is longer than a reader holds in mind."""
    lines = {str(m.relative_to(ROOT)): len(m.read_text().splitlines()) for m in modules("scaler")}
    assert {m: n for m, n in lines.items() if n > LONGEST_MODULE} == {}


def test_functions_are_short() -> None:
    """No function needs scrolling, and half of them fit in ten lines."""
    measured = lengths()
    assert {f: n for f, n in measured.items() if n > LONGEST_FUNCTION} == {}
    assert statistics.median(measured.values()) <= MEDIAN_FUNCTION


@pytest.mark.parametrize("module", modules("scaler/core"), ids=lambda module: module.stem)
def test_the_core_imports_nothing_that_acts(module: Path) -> None:
    """The decision is made of arithmetic: of all packages only these few, none of which reads or does anything."""
    assert imported(module) <= PURE


@pytest.mark.parametrize("module", modules("scaler/core"), ids=lambda module: module.stem)
def test_the_core_waives_no_check(module: Path) -> None:
    """Lint, types and coverage hold in the core without exception."""
    assert re.findall(r"# *(?:noqa|type: *ignore|pragma: *no).*", module.read_text()) == []


@pytest.mark.parametrize(
    ("module", "allowed"),
    [
        ("scaler/core/tick.py", False),
        ("scaler/live/loop.py", False),
        ("tests/any.py", False),
        ("scaler/agent/gate.py", False),
        ("scaler/live/clock.py", True),
        ("scaler/agent/clock.py", True),
    ],
)
@pytest.mark.parametrize("call", ["time.time()", "time.monotonic()", "datetime.datetime.now(datetime.UTC)"])
def test_only_the_clock_reads_the_time(module: str, call: str, *, allowed: bool) -> None:
    """One file asks what time it is, and one in the agent's room; to all others it is an argument. Lint says so."""
    source = f"import datetime\nimport time\n\nprint({call})\n"
    command = ["ruff", "check", "--no-cache", "--select=TID251", f"--stdin-filename={module}", "-"]
    linted = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, input=source, capture_output=True, text=True, check=False
    )
    assert (linted.returncode == 0) is allowed, linted.stdout
