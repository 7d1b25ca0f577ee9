"""Every command, with its help. What a command needs is imported when it is called."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from scaler.cli import options
from scaler.cli.config import commands as config_commands
from scaler.cli.demo import demo
from scaler.cli.extras import NOTHING, needing
from scaler.cli.forms import LogFormat, LogLevel
from scaler.cli.gate import commands as gate_commands
from scaler.cli.output import interruptible, refuse
from scaler.cli.person import Kubeconfig, usual
from scaler.cli.simulate import commands as simulate_commands
from scaler.cli.version import own_version


class _Commands(TyperGroup):
    """The commands; typer itself ends them without a word when they are interrupted."""

    def make_context(self, *given: Any, **more: Any) -> Any:  # noqa: ANN401 - as typer has it
        with interruptible(NOTHING):
            return super().make_context(*given, **more)

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 - as typer has it
        with interruptible("what was done by now stays done"):
            return super().invoke(ctx)


app = typer.Typer(
    name="scaler",
    cls=_Commands,
    help="Keeps pools of AI agents the right size and never takes a pod away mid-reasoning.",
    epilog="Exit codes: 0 it worked; 1 it did not, or something was found; 2 the request or the file cannot be used; "
    "130 and 143 it was interrupted, or told to end, and had not ended by itself.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command(epilog="Example: scaler demo --seed 3 --seconds 3600 --json figures.json")(demo)
app.add_typer(config_commands, name="config")
app.add_typer(simulate_commands, name="simulate")
app.add_typer(gate_commands, name="gate")


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
    keda: options.Keda = "127.0.0.1:6000",
    http: options.Http = "127.0.0.1:8080",
    memory: options.Memory = None,
    journal: options.Journal = None,
    lease: options.Lease = None,
    identity: options.Identity = None,
    kubeconfig: options.Kubeconfig = None,
    control: options.Control = None,
    drain_key: options.DrainKey = None,
    namespace: options.Namespace = None,
    log_format: options.Format = LogFormat.AUTO,
    log_level: options.Level = LogLevel.INFO,
) -> None:
    """Answer KEDA, from the pools of a file and those that triggers bring.

    Of several replicas with one --lease, one leads: it answers KEDA, and labels its pod agent-scaler.io/leader=true for
    the Service to find it. The others are ready, read along, and take over when its lease runs out or is given back.

    Logs go to stderr. SIGTERM and SIGINT end streams with OK, let calls finish and exit 0 within 5 seconds; a second
    one ends the process at once, with 128 and the signal's number.
    """
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")  # it adds plain lines of its own, one for each failed handshake
    with needing("scaler"):
        from scaler.cli import controlling
        from scaler.cli.disk import Folders
        from scaler.cli.doors import Places
        from scaler.cli.seat import Candidacy
        from scaler.cli.serve import Asked, run
    asked = Asked(
        Places(keda=keda, http=http),
        Folders(memory, journal),
        Candidacy(lease, identity, kubeconfig),
        controlling.Asked(
            control, drain_key, tuple(namespace or ()), kubeconfig, home=lease.partition("/")[0] if lease else None
        ),
    )
    run(config, asked, log_format, log_level)


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


@app.command(name="release", epilog="Example: scaler release --all --yes; scaler release --pod agents/coder-7d9f-x2x4k")
def release_command(  # noqa: PLR0913 (as many as there are options)
    *,
    pool: Annotated[str | None, typer.Option(metavar="NAMESPACE/NAME", help="Free this pool alone.")] = None,
    pod: Annotated[
        str | None, typer.Option(metavar="NAMESPACE/NAME", help="Take this pod, whatever it holds; guards stay.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Free every pool, and remove the guards.")] = False,
    kubeconfig: Kubeconfig = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON: each act, and why it failed.")] = False,
) -> None:
    """Free every pod and remove every guard of ours, whether a controller lives or not; nothing guards them then.

    One pool is freed by a person who has the verb forcedrain on pods; take it out of the configuration first, or a
    controller that lives takes it in again. So is one pod, which is deleted with what it holds, as is told before.
    Exit 1 if anything stays.
    """
    with needing("scaler"):
        from scaler.cli.forfeit import forfeit
        from scaler.cli.naming import pool_key
        from scaler.cli.release import Asked, release
    if [everything, pool is not None, pod is not None].count(True) != 1:
        refuse("name what to free: --pool NAMESPACE/NAME, --pod NAMESPACE/NAME, or --all")
    if pod is not None:
        forfeit(pod, usual(kubeconfig), yes=yes, json=json)
        return
    release(Asked(pool=pool_key(pool) if pool else None, kubeconfig=usual(kubeconfig), yes=yes, json=json))


@app.command(epilog="Example: scaler doctor --json")
def doctor(
    *,
    kubeconfig: Kubeconfig = None,
    address: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="What ScaledObjects have as scalerAddress.")
    ] = "agent-scaler.agent-scaler:6000",
    json: Annotated[bool, typer.Option("--json", help="Print JSON: each finding with its object and its fix.")] = False,
) -> None:
    """Say what could still take a pod away from its work in this cluster, and what to do about it.

    Nothing is changed: deletions and evictions are dry runs that must be refused. Exit 1 if anything is found.
    """
    with needing("scaler"):
        from scaler.cli.doctor import examine_cluster
    examine_cluster(usual(kubeconfig), address, json=json)
