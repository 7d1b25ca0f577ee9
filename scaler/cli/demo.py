"""``scaler demo``: hours of agents' work in seconds, without a cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scaler.cli import options
from scaler.cli.extras import needing


def demo(  # noqa: PLR0913 - an option each
    *,
    seed: Annotated[int, typer.Option(help="The same seed gives the same figures.")] = 1,
    seconds: Annotated[int, typer.Option(help="How long to run, in virtual seconds.")] = 7200,
    json: Annotated[
        Path | None,
        typer.Option("--json", metavar="FILE", help="Write the figures here; - prints them and nothing else."),
    ] = None,
    table: Annotated[bool, typer.Option("--table/--no-table", help="Show what happens, or only how far it is.")] = True,
    speed: Annotated[
        float | None,
        typer.Option(help="Virtual seconds per second, to watch it: 60 is a minute a second.", show_default="no limit"),
    ] = None,
    journal: options.Journal = None,
) -> None:
    """Run the real scaler on an embedded world of agents, and a plain HPA on the same work beside it.

    The decision, the loop and the gRPC door are those of `scaler serve`; agents, pods, KEDA and the HPA are played.
    """
    with needing("scaler"):
        from scaler.cli.demo_run import Wish, run
    run(Wish(seed=seed, seconds=seconds, json=json, table=table, speed=speed, journal=journal))
