"""Every command, with its help. What a command needs is imported when it is called."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scaler.cli.config import commands as config_commands
from scaler.cli.demo import demo
from scaler.cli.extras import needing
from scaler.cli.version import own_version

app = typer.Typer(
    name="scaler",
    help="Keeps pools of AI agents the right size and never takes a pod away mid-reasoning.",
    epilog="Exit codes: 0 it worked; 1 it did not, or something was found; 2 the request or the file cannot be used.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command(epilog="Example: scaler demo --seed 3 --seconds 3600 --json figures.json")(demo)
app.add_typer(config_commands, name="config")


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"scaler {own_version()}")
        raise typer.Exit


@app.callback()
def _scaler(
    *,
    _: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    pass


@app.command(epilog="Example: scaler serve pools.yaml --keda 0.0.0.0:6000 --http 0.0.0.0:8080")
def serve(
    config: Annotated[Path, typer.Argument(help="The configuration; read again when it changes.")],
    *,
    keda: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Where KEDA calls. Port 0 takes a free one.")
    ] = "127.0.0.1:6000",
    http: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Where health, metrics and the API are. Port 0 takes a free one.")
    ] = "127.0.0.1:8080",
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log every decision, not only changes.")] = False,
) -> None:
    """Answer KEDA, from the pools of a file and those that triggers bring.

    Logs go to stderr, as JSON unless that is a terminal. SIGTERM ends streams with OK, lets calls finish and exits 0.
    """
    with needing("scaler"):
        from scaler.cli.serve import Places, run
    run(config, Places(keda=keda, http=http), verbose=verbose)


@app.command(epilog="Example: scaler explain agents/coder --url http://scaler.keda:8080")
def explain(
    pool: Annotated[str, typer.Argument(metavar="NAMESPACE/NAME", help="The pool, named like its ScaledObject.")],
    *,
    url: Annotated[
        str, typer.Option(envvar="SCALER_URL", help="Where the running scaler's pages are.")
    ] = "http://127.0.0.1:8080",
    json: Annotated[bool, typer.Option("--json", help="Print JSON: trail, evidence and origins included.")] = False,
) -> None:
    """Say why a pool has the target it has, step by step, as the running scaler decided it."""
    with needing("scaler"):
        from scaler.cli.explain import print_explanation
    print_explanation(pool, url, json=json)
