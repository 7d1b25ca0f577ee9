"""How commands that a person runs find the API server: as kubectl does."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, TypeAlias

import typer

HOME: Final = Path("~/.kube/config")
Kubeconfig: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        envvar="KUBECONFIG",
        help="The way to the API server, or several files with colons between them; else ~/.kube/config, or the "
        "ServiceAccount of the pod that we are in.",
    ),
]


def usual(kubeconfig: Path | None) -> Path | None:
    """The file that was named, or the usual one; None where there is neither, for a pod's ServiceAccount."""
    usual_one = HOME.expanduser()
    return kubeconfig or (usual_one if usual_one.is_file() else None)
