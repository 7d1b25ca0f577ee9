"""``python -m benchmarks [NAME ...] [--json] [--list] [--strict] [--minutes N] [--pools N] [--pods N]``.

Exit codes: 0 measured, 1 with ``--strict`` when a figure missed its goal, 2 for an unknown name or when something could
not be measured.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from inspect import signature
from pathlib import Path
from typing import cast

from benchmarks import CannotMeasureError, Result

PREFIX = "bench_"


def known() -> list[str]:
    """The names of all benchmarks: the modules in this folder."""
    return sorted(path.stem.removeprefix(PREFIX) for path in Path(__file__).parent.glob(f"{PREFIX}*.py"))


def load(name: str, told: Mapping[str, float]) -> Callable[[], Iterable[Result]]:
    """The ``run`` of one benchmark, with what it can be told of these."""
    run = cast("Callable[..., Iterable[Result]]", importlib.import_module(f"benchmarks.{PREFIX}{name}").run)
    takes = signature(run).parameters
    return partial(run, **{key: value for key, value in told.items() if key in takes})


def tell(result: Result, *, only_json: bool) -> None:
    """Print a result at once: for a reader, unless only JSON is wanted, and then for a program."""
    if not only_json:
        print(result.sentence())
    print(result.line(), flush=True)


def measure(names: Sequence[str], *, only_json: bool, told: Mapping[str, float]) -> tuple[list[Result], list[str]]:
    """Run the benchmarks one after the other. Answers the results, and one sentence for each that could not run."""
    results: list[Result] = []
    missing: list[str] = []
    for name in names:
        try:
            for result in load(name, told)():
                tell(result, only_json=only_json)
                results.append(result)
        except CannotMeasureError as error:
            missing.append(f"{name} was not measured: {error}")
    return results, missing


def parser() -> argparse.ArgumentParser:
    """The command line."""
    asked = argparse.ArgumentParser(prog="python -m benchmarks", description="Figures, each beside its reference.")
    asked.add_argument("names", nargs="*", metavar="NAME", help="which benchmarks to run (all unless named)")
    asked.add_argument("--json", action="store_true", help="print only the JSON lines")
    asked.add_argument("--list", action="store_true", help="print the names and stop")
    asked.add_argument("--minutes", type=float, metavar="N", help="how long those go on that can be told (the soak: 3)")
    asked.add_argument("--pools", type=int, metavar="N", help="how many pools, where that can be told (the soak: 5000)")
    asked.add_argument("--pods", type=int, metavar="N", help="how many pods, where that can be told (drain: 1000)")
    asked.add_argument("--strict", action="store_true", help="exit with 1 when a figure misses its goal")
    return asked


def main(arguments: Sequence[str]) -> int:
    """Run what the arguments ask for and answer the exit code."""
    asked, names = parser().parse_args(arguments), known()
    if asked.list:
        print("\n".join(names))
        return 0
    if unknown := sorted(set(asked.names) - set(names)):
        print(f"no benchmark is called {', '.join(unknown)}; there are: {', '.join(names)}", file=sys.stderr)
        return 2
    told = {key: value for key in ("minutes", "pools", "pods") if (value := getattr(asked, key)) is not None}
    results, missing = measure(asked.names or names, only_json=asked.json, told=told)
    for sentence in missing:
        print(sentence, file=sys.stderr)
    return 2 if missing else int(asked.strict and not all(result.holds for result in results))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
