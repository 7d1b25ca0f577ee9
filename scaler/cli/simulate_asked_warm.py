"""What ``scaler simulate warm`` takes, each option written down once."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from scaler.cli.simulate_asked import POOL, RUNS, WORK, Json


@dataclass(frozen=True, kw_only=True)
class AskedWarm:
    """What ``warm`` takes. Its world is claims and a pool of idle sandboxes; a scenario says all of it in one file."""

    scenario: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE.yaml",
            help="A question about a warm pool, as in simulations/warm; it takes the place of the options about what "
            "comes and the pool, and of --policies and --seeds.",
        ),
    ] = None
    trace: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.csv[.gz]",
            help="Claims: a column arrival_s. Azure's, BurstGPT's and Mooncake's own files are read too.",
            rich_help_panel=WORK,
        ),
    ] = None
    rate: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Claims as a curve: arrival_s, rate_per_min.", rich_help_panel=WORK),
    ] = None
    lasts: Annotated[
        str | None, typer.Option(metavar="12h", help="How much of the claims is used.", rich_help_panel=WORK)
    ] = None
    bursts: Annotated[
        float | None,
        typer.Option(
            help="Variance over mean of a curve's claims in 60 s; 1 is Poisson.",
            show_default="1",
            rich_help_panel=WORK,
        ),
    ] = None
    thin: Annotated[
        float | None,
        typer.Option(
            help="Share of a trace's claims that is kept; a curve is multiplied.",
            show_default="1",
            rich_help_panel=WORK,
        ),
    ] = None
    stretch: Annotated[
        float | None,
        typer.Option(help="Times that a trace takes longer than it did.", show_default="1", rich_help_panel=WORK),
    ] = None
    lead_time: Annotated[
        str | None,
        typer.Option(
            metavar="MU,SIGMA|25s",
            help="From a sandbox's creation until it is ready: mean and deviation of the logarithm of seconds, or the "
            "median.",
            show_default="25s",
            rich_help_panel=POOL,
        ),
    ] = None
    miss_target: Annotated[
        float | None,
        typer.Option(help="Share of claims that may find no ready sandbox.", show_default="0.01", rich_help_panel=POOL),
    ] = None
    wait_price: Annotated[
        float | None,
        typer.Option(
            help="Price of a second of waiting, in seconds of an idle sandbox: ours aims at that instead.",
            rich_help_panel=POOL,
        ),
    ] = None
    min: Annotated[int | None, typer.Option(help="Smallest size of ours.", show_default="0", rich_help_panel=POOL)] = (
        None
    )
    max: Annotated[int | None, typer.Option(help="Largest size.", show_default="1000", rich_help_panel=POOL)] = None
    start: Annotated[
        int | None,
        typer.Option(
            help="Sandboxes that stand ready at first, for every policy. Without it, as many as a fixed pool needs.",
            rich_help_panel=POOL,
        ),
    ] = None
    policies: Annotated[
        str | None,
        typer.Option(
            metavar="A,B",
            help="Who is asked: ours, fixed, rate (times 20 s, agent-sandbox's KEDA example), hpa (its HPA example, of "
            "type Value), buffer (Agones), histogram. Knobs: fixed=40, rate=30, hpa=0.5, buffer=20 or buffer=10%, "
            "histogram=60.",
            rich_help_panel=RUNS,
        ),
    ] = None
    seeds: Annotated[
        int | None, typer.Option(help="Runs of each, with seeds 1 to N.", show_default="3", rich_help_panel=RUNS)
    ] = None
    equal: Annotated[
        bool,
        typer.Option(help="Look for the knobs at which the others miss as few as ours.", rich_help_panel=RUNS),
    ] = True
    jobs: Annotated[
        int, typer.Option(help="Processes; the figures are the same with any number.", rich_help_panel=RUNS)
    ] = os.cpu_count() or 1
    json: Json = None
