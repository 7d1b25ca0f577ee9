"""The options of ``scaler serve``, each with its help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from scaler.cli.forms import LogFormat, LogLevel

Keda: TypeAlias = Annotated[str, typer.Option(metavar="HOST:PORT", help="Where KEDA calls. Port 0 takes a free one.")]
Http: TypeAlias = Annotated[
    str, typer.Option(metavar="HOST:PORT", help="Where health, metrics and the API are. Port 0 takes a free one.")
]
Memory: TypeAlias = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Where what pools have learnt outlives the process.")
]
Journal: TypeAlias = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Where every decision is written down, for scaler replay.")
]
Lease: TypeAlias = Annotated[
    str | None, typer.Option(metavar="NAMESPACE/NAME", help="The Lease by which one of several replicas leads.")
]
Identity: TypeAlias = Annotated[
    str | None, typer.Option(metavar="POD", envvar="POD_NAME", help="With --lease: our pod; else the host's name.")
]
Kubeconfig: TypeAlias = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="With --lease or --control: the way to the API server, where we are no pod."),
]
Control: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="HOST:PORT", help="Drain and protect the pods of ScaledObjects whose scalerAddress is this one."
    ),
]
DrainKey: TypeAlias = Annotated[
    Path | None, typer.Option(metavar="FILE", help="With --control: the Ed25519 key, as PEM, that signs drain orders.")
]
Namespace: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(help="With --control: where ScaledObjects are looked for; may be given again. Without it everywhere."),
]
Format: TypeAlias = Annotated[
    LogFormat, typer.Option(help="How log lines look; auto is console on a terminal and JSON elsewhere.")
]
Level: TypeAlias = Annotated[
    LogLevel, typer.Option(help="The least that is told; debug has every decision, not only changes.")
]
