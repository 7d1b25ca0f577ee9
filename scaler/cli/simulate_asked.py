"""What the commands of ``scaler simulate`` take, each option written down once; ``warm`` has its own."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, TypeAlias

import typer

WORK: Final = "What comes"
POOL: Final = "The pool"
RUNS: Final = "The runs"

Json: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--json", metavar="FILE", help="Write the figures here; - prints them and no table.", rich_help_panel=RUNS
    ),
]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What every command takes. Whatever is given here stands instead of what the scenario says."""

    scenario: Annotated[
        Path | None, typer.Argument(metavar="SCENARIO", help="A scenario file; simulations/ has some.")
    ] = None
    trace: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.csv[.gz]",
            help="Arrivals: arrival_s, and where they are known duration_s, tokens, session. "
            "Azure's, BurstGPT's and Mooncake's own files are read too.",
            rich_help_panel=WORK,
        ),
    ] = None
    rate: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Arrivals as a curve: arrival_s, rate_per_min.", rich_help_panel=WORK),
    ] = None
    journal: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE|DIR",
            help="Your own past: what a running scaler wrote down with serve --journal. Its policy says how many slots "
            "and replicas there are, unless options do.",
            rich_help_panel=WORK,
        ),
    ] = None
    pool: Annotated[
        str | None,
        typer.Option(metavar="NAMESPACE/NAME", help="Whose, where the journal has several.", rich_help_panel=WORK),
    ] = None
    durations: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|lognormal:MU,SIGMA",
            help="How long tasks take: a file with duration_s to draw from, or a distribution of seconds.",
            rich_help_panel=WORK,
        ),
    ] = None
    begins: Annotated[
        str | None,
        typer.Option(metavar="24h", help="How much of the arrivals is left out at first.", rich_help_panel=WORK),
    ] = None
    lasts: Annotated[
        str | None, typer.Option(metavar="12h", help="How much of the arrivals is used.", rich_help_panel=WORK)
    ] = None
    longest: Annotated[str | None, typer.Option(metavar="2h", help="When a task gives up.", rich_help_panel=WORK)] = (
        None
    )
    bursts: Annotated[
        float | None,
        typer.Option(
            help="Variance over mean of a curve's arrivals in 60 s; 1 is Poisson.",
            show_default="1",
            rich_help_panel=WORK,
        ),
    ] = None
    thin: Annotated[
        float | None,
        typer.Option(
            help="Share of a trace's arrivals that is kept; a curve is multiplied.",
            show_default="1",
            rich_help_panel=WORK,
        ),
    ] = None
    stretch: Annotated[
        float | None,
        typer.Option(
            help="Times that a trace takes longer than it did.",
            show_default="1",
            rich_help_panel=WORK,
        ),
    ] = None
    slots: Annotated[
        int | None,
        typer.Option(
            help="Tasks that a pod runs at once.",
            show_default="1",
            rich_help_panel=POOL,
        ),
    ] = None
    startup: Annotated[
        str | None,
        typer.Option(
            metavar="18s|lognormal:MU,SIGMA",
            help="From a pod's creation until it is ready.",
            show_default="18s",
            rich_help_panel=POOL,
        ),
    ] = None
    min: Annotated[
        int | None,
        typer.Option(
            help="Fewest replicas.",
            show_default="0",
            rich_help_panel=POOL,
        ),
    ] = None
    max: Annotated[
        int | None,
        typer.Option(
            help="Most replicas.",
            show_default="100",
            rich_help_panel=POOL,
        ),
    ] = None
    target_wait: Annotated[
        str | None,
        typer.Option(
            metavar="30s",
            help="How long 95 % of the tasks may wait at most.",
            show_default="30s",
            rich_help_panel=POOL,
        ),
    ] = None
    dispatch: Annotated[
        str | None,
        typer.Option(
            metavar="pull|random|latest|lowest",
            help="How a task finds its slot.",
            show_default="pull",
            rich_help_panel=POOL,
        ),
    ] = None
    wait_price: Annotated[
        float | None,
        typer.Option(
            help="Price of a second of waiting, in pod-seconds, from 0.001 to 1e9.",
            show_default="10",
            rich_help_panel=RUNS,
        ),
    ] = None
    pod_price_per_hour: Annotated[
        float | None,
        typer.Option(help="What an hour of a pod costs, in any currency: tells money too.", rich_help_panel=RUNS),
    ] = None
    policies: Annotated[
        str | None,
        typer.Option(
            metavar="A,B",
            help="Who is asked: ours, hpa (KEDA, on the queue), kpa (Knative), predictive (an HPA that forecasts), "
            "saturation (WVA), buffer (Agones), job (ScaledJob), fixed; ours-... is ours without a part, and an "
            "unknown name lists them all. Without it those of the scenario, else all; run takes ours alone.",
            show_default="all of these",
            rich_help_panel=RUNS,
        ),
    ] = None
    seeds: Annotated[
        int | None,
        typer.Option(
            help="Runs of each, with seeds 1 to N.",
            show_default="5",
            rich_help_panel=RUNS,
        ),
    ] = None
    limits: Annotated[
        bool,
        typer.Option(
            help="Work out the least that the work can cost, in pod-seconds; this takes longest, and else these "
            "figures are null. opt_w: knows all that comes, and pays for waiting as policies do; /opt is the price "
            "over it. opt_blind: orders only for tasks that wait, as an HPA would; /blind is over it. opt_zero_wait: "
            "the pods of the cheapest schedule in which nobody waits, knowing all that comes. Nothing is told over "
            "that one: where waiting is cheaper than a pod, a policy may cost less.",
            rich_help_panel=RUNS,
        ),
    ] = True
    jobs: Annotated[
        int, typer.Option(help="Processes; the figures are the same with any number.", rich_help_panel=RUNS)
    ] = os.cpu_count() or 1
    json: Json = None


@dataclass(frozen=True, kw_only=True)
class AskedCompare(Asked):
    """What ``compare`` takes beside."""

    knobs: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE", help="What tune --json wrote, to be used for its policy; may be given several times."
        ),
    ] = None
    equal: Annotated[
        bool,
        typer.Option(
            help="Ask each peer of --knobs with all that was found, and tell its pod hours at the wait of ours."
        ),
    ] = False


@dataclass(frozen=True, kw_only=True)
class AskedReport(Asked):
    """What ``report`` takes beside."""

    html: Annotated[Path, typer.Option(metavar="FILE.html", help="Where the report goes.")] = Path("report.html")


@dataclass(frozen=True, kw_only=True)
class AskedSweep(Asked):
    """What ``sweep`` takes beside."""

    over: Annotated[
        list[str],
        typer.Option(
            metavar="KEY=A,B,C",
            help="A key of the scenario and its values; may be given more than once. Where values have commas, ; "
            "stands between them: 'startup=lognormal:2.9,0.3;18s'.",
        ),
    ]
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Keep each figure here as it is found. What is there of the same work, by this version of "
            "the program, is not run again.",
        ),
    ] = None
    dask: Annotated[
        str | None, typer.Option(metavar="tcp://HOST:PORT", help="A Dask scheduler, to run on its workers.")
    ] = None
    show: Annotated[
        str,
        typer.Option(
            metavar="FIGURE,...",
            help="Figures of the summary to show: one as a heat map, several with a row for each policy. An unknown "
            "name lists them all.",
        ),
    ] = "price"
    html: Annotated[
        Path | None, typer.Option(metavar="FILE.html", help="Write heat maps of these figures here, for a browser.")
    ] = None


@dataclass(frozen=True, kw_only=True)
class AskedTune(Asked):
    """What ``tune`` takes beside."""

    policy: Annotated[str, typer.Option(help="Whose knobs: ours, or a peer by name.")] = "ours"
    budget: Annotated[int, typer.Option(help="Trials, each of all seeds.")] = 40
