"""Every command, with its help. What a command needs is imported when it is called."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from scaler.cli.config import commands as config_commands
from scaler.cli.demo import demo
from scaler.cli.extras import needing
from scaler.cli.forms import LogFormat, LogLevel
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
def serve(  # noqa: PLR0913 (as many as there are options)
    config: Annotated[Path, typer.Argument(help="The configuration; read again when it changes.")],
    *,
    keda: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Where KEDA calls. Port 0 takes a free one.")
    ] = "127.0.0.1:6000",
    http: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Where health, metrics and the API are. Port 0 takes a free one.")
    ] = "127.0.0.1:8080",
    memory: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where what pools have learnt outlives the process.")
    ] = None,
    journal: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where every decision is written down, for scaler replay.")
    ] = None,
    log_format: Annotated[
        LogFormat, typer.Option(help="How log lines look; auto is console on a terminal and JSON elsewhere.")
    ] = LogFormat.AUTO,
    log_level: Annotated[
        LogLevel, typer.Option(help="The least that is told; debug has every decision, not only changes.")
    ] = LogLevel.INFO,
) -> None:
    """Answer KEDA, from the pools of a file and those that triggers bring.

    Logs go to stderr. SIGTERM and SIGINT end streams with OK, let calls finish and exit 0 within 5 seconds; a second
    one ends the process at once, with 128 and the signal's number.
    """
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")  # it adds plain lines of its own, one for each failed handshake
    with needing("scaler"):
        from scaler.cli.disk import Folders
        from scaler.cli.doors import Places
        from scaler.cli.serve import run
    run(config, Places(keda=keda, http=http), Folders(memory, journal), log_format, log_level)


@app.command(epilog="Example: scaler replay /var/lib/scaler/journal --policy changed.yaml --pool agents/coder")
def replay(
    file: Annotated[Path, typer.Argument(help="A file of the journal, or its directory.")],
    *,
    policy: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A configuration: print what it would have decided instead.")
    ] = None,
    pool: Annotated[str | None, typer.Option(metavar="NAMESPACE/NAME", help="This pool alone.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Decide again on what the journal holds, and exit 1 at the first outcome that is another than the recorded one."""
    with needing("scaler"):
        from scaler.cli.replay import run
    run(file, policy=policy, pool=pool, json=json)


@app.command(epilog="Example: scaler explain agents/coder --url http://scaler.keda:8080")
def explain(
    pool: Annotated[str, typer.Argument(metavar="NAMESPACE/NAME", help="The pool, named like its ScaledObject.")],
    *,
    url: Annotated[
        str, typer.Option(envvar="SCALER_URL", help="Where the running scaler's pages are.")
    ] = "http://127.0.0.1:8080",
    ca: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Authorities to trust beside the system's, as PEM.")
    ] = None,
    certificate: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Our own certificate and its key, as one PEM file.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON: trail, evidence and origins included.")] = False,
) -> None:
    """Say why a pool has the target it has, step by step, as the running scaler decided it."""
    with needing("scaler"):
        from scaler.cli.explain import Trust, print_explanation
    print_explanation(pool, url, Trust(ca, certificate), json=json)
