"""``scaler simulate``: a pool on a laptop, before anything is deployed."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Final, TypeVar, get_type_hints

import typer

from scaler.cli.extras import needing
from scaler.cli.output import interruptible, refuse
from scaler.cli.simulate_asked import Asked, AskedCompare, AskedReport, AskedSweep, AskedTune
from scaler.cli.simulate_asked_warm import AskedWarm

commands = typer.Typer(
    name="simulate",
    help="Ask what a pool would cost and how long its tasks would wait, under ours and under other autoscalers.",
    no_args_is_help=True,
)


Wish = TypeVar("Wish", bound="Asked | AskedWarm")
SCENARIO: Final = "simulations/monday-morning.yaml --seeds 3"
READ: Final = ("scenario", "trace", "rate", "durations", "journal", "knobs")  # options that name files
WRITTEN: Final = ("json", "html")


def _check_apart(wish: Asked | AskedWarm) -> None:
    """Refuse to write over what is read, or two things into one file: that is a slip, and would not be noticed."""
    seen: dict[Path, str] = {}
    for name in (*READ, *WRITTEN):
        given = getattr(wish, name, None) or []
        for file in given if isinstance(given, list) else [Path(given)]:
            whole = file.resolve()
            if name in WRITTEN and whole in seen and (whole.is_file() or not whole.exists()):
                refuse(f"--{name} {file} is the file of {seen[whole]} too, and would be written over it: name another")
            seen[whole] = name.upper() if name == "scenario" else f"--{name}"


def _command(act: Callable[[Wish], None], example: str = SCENARIO) -> None:
    """Add a command that takes the fields of the one argument of ``act``: each option is written down once."""
    (asked,) = get_type_hints(act, include_extras=True).keys() - {"return"}
    kind: type[Wish] = get_type_hints(act)[asked]
    hints = get_type_hints(kind, include_extras=True)

    def command(**given: object) -> None:
        wish = kind(**given)  # type: ignore[arg-type] # typer has parsed them by these very annotations
        _check_apart(wish)
        with interruptible("what is in no file by now is lost"):
            act(wish)

    keyword = inspect.Parameter.KEYWORD_ONLY
    taken = [inspect.Parameter(f.name, keyword, default=f.default, annotation=hints[f.name]) for f in fields(kind)]
    taken = [p.replace(default=inspect.Parameter.empty) if p.name == "over" else p for p in taken]
    command.__signature__ = inspect.Signature(taken)  # type: ignore[attr-defined] # what inspect and typer look at
    command.__annotations__ = {**hints, "return": None}
    command.__doc__ = act.__doc__
    commands.command(name=act.__name__, epilog=f"Example: scaler simulate {act.__name__} {example}")(command)


def run(asked: Asked) -> None:
    """Run one policy, ours unless --policies names another, and print its figures."""
    with needing("sim"):
        from scaler.cli.simulate_run import compare_policies
    compare_policies(asked, policies="ours" if asked.policies is None else asked.policies)


def compare(asked: AskedCompare) -> None:
    """Run several policies on the same arrivals, and print their figures side by side."""
    with needing("sim"):
        from scaler.cli.simulate_run import compare_policies
    compare_policies(asked, policies=asked.policies, knobs=asked.knobs or (), equal=asked.equal)


def report(asked: AskedReport) -> None:
    """Compare policies, and write one HTML file that shows what happened and needs nothing beside it."""
    with needing("sim"):
        from scaler.cli.simulate_run import write_report
    write_report(asked)


def sweep(asked: AskedSweep) -> None:
    """Compare policies on every combination of the values of some keys of the scenario."""
    with needing("sim"):
        from scaler.cli.simulate_sweep import sweep as sweep_all
    sweep_all(asked)


def tune(asked: AskedTune) -> None:
    """Look for the knobs of one policy that make the scenario cheapest. Tune on other days than you judge by."""
    with needing("sim"):
        from scaler.cli.simulate_tune import tune as tune_one
    tune_one(asked)


def warm(asked: AskedWarm) -> None:
    """Size a pool of idle sandboxes: how many claims find none ready, and for how long sandboxes stand idle.

    A claim takes a ready sandbox and the pool makes another one, which takes the lead time; where none is ready it
    starts its own. Each policy meets the same claims.
    """
    with needing("sim"):
        from scaler.cli.simulate_warm import size
    size(asked)


for _act in (run, compare, report, tune):
    _command(_act)
_command(sweep, f"{SCENARIO} --over startup=18s,93s")
_command(warm, "--trace claims.csv.gz --lead-time 3.22,0.3 --miss-target 0.01")
