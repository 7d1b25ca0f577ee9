"""``scaler gate``: the sidecar, and what goes with gates: an examination, keys, a preStop hook."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer

from scaler.cli.addresses import is_base_url
from scaler.cli.extras import needing
from scaler.cli.output import fail, refuse

commands = typer.Typer(
    help="Stand before an HTTP agent as its gate, examine a gate, make keys for drain orders.",
    invoke_without_command=True,
    no_args_is_help=True,
)

LARGEST_PORT = 65_535


@commands.callback(epilog="Example: scaler gate --upstream http://127.0.0.1:8000 --listen 0.0.0.0:8476")
def gate(  # noqa: PLR0913 (as many as there are options)
    context: typer.Context,
    *,
    upstream: Annotated[str | None, typer.Option(metavar="URL", help="The agent.")] = None,
    listen: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Where requests come, and the three routes.")
    ] = "0.0.0.0:8476",
    slots: Annotated[int, typer.Option(min=1, help="How many tasks the agent can run at once.")] = 1,
    free: Annotated[
        list[str] | None,
        typer.Option(metavar="PATH", help="No work, and always let pass: probes. Beside the usual ones; * matches."),
    ] = None,
    longest: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            help="How long a request lasts at the most. After that, what a killed sidecar left under way is over.",
        ),
    ] = None,
    token_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The bearer token for asking the agent for A2A tasks.")
    ] = None,
    grace: Annotated[float, typer.Option(metavar="SECONDS", help="The pod's terminationGracePeriodSeconds.")] = 30.0,
) -> None:
    """Stand before an HTTP agent as its gate: every request passes through, and is a task until its answer has ended.

    The pod is told by POD_UID, the folder of the state by AGENT_SCALER_STATE, the key set's file by AGENT_SCALER_KEYS.
    A closed gate answers 503 with Retry-After. A2A tasks hold it until they are over or wait for somebody.
    """
    if context.invoked_subcommand is not None:
        return
    if upstream is None:
        refuse("--upstream is missing; it is the agent's URL, as in http://127.0.0.1:8000")
    _check(upstream, longest, grace, token_file)
    with needing("gate"):
        from scaler.agent.sidecar.proxy import FREE, Settings
        from scaler.cli.gate_run import run
    settings = Settings(upstream.rstrip("/"), (*FREE, *(free or ())), longest, token_file=token_file)
    run(settings, _place(listen), slots=slots, grace=grace)


@commands.command(epilog="Example: scaler gate check http://10.1.2.3:8476 --key key.pem --work 'curl --fail URL'")
def check(  # noqa: PLR0913 (as many as there are options)
    url: Annotated[str, typer.Argument(help="Where /activity, /drain and /resume are.")],
    *,
    key: Annotated[Path, typer.Option(metavar="FILE", help="A private key whose public half the agent knows.")],
    kid: Annotated[str, typer.Option(help="Its id in the agent's key set, where that is not its thumbprint.")] = "",
    work: Annotated[
        str | None, typer.Option(metavar="COMMAND", help="Gives it work for some seconds; fails where it is refused.")
    ] = None,
    restart: Annotated[
        str | None, typer.Option(metavar="COMMAND", help="Restarts it, and ends when it answers again.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Examine whether a gate, in whatever language, keeps the contract: a sentence at a time. Exit 1 if it does not.

    It is drained and resumed while this runs, so take an agent that nobody needs.
    """
    from scaler.cli.gate_check import examine

    examine(url, key, kid, (work, restart), json=json)


@commands.command(epilog="Example: scaler gate keys --agents agents --agents tools > orders.yaml")
def keys(
    *,
    namespace: Annotated[str, typer.Option(help="Where the controller is.")] = "agent-scaler",
    agents: Annotated[list[str] | None, typer.Option(metavar="NAMESPACE", help="Where agents are; repeatable.")] = None,
    known: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The key set that agents have: to rotate keys, they get the new one beside."),
    ] = None,
) -> None:
    """Make a key for drain orders, and print what to apply: the Secret that signs, ConfigMaps with the key set."""
    from scaler.cli.gate_keys import manifests

    typer.echo("\n---\n".join(manifests(namespace, agents or ["agents"], known)))


@commands.command(epilog="Example: scaler gate prestop")
def prestop(
    *,
    url: Annotated[str, typer.Option(help="Where the gate answers.")] = "http://127.0.0.1:8476",
    state: Annotated[
        Path, typer.Option(envvar="AGENT_SCALER_STATE", metavar="DIR", help="The folder of the gate's state.")
    ],
) -> None:
    """Close the gate of this pod and wait until it is idle: a preStop hook, for an agent that dies of SIGTERM."""
    from scaler.agent.prestop import NotIdleError, wait

    try:
        wait(url, state)
    except NotIdleError as error:
        fail(str(error))


def _check(upstream: str, longest: float | None, grace: float, token_file: Path | None) -> None:
    """Refuse at the start what would only be found out request by request: whatever is compared with nan is never over.

    The token is read for each question, and nobody would be told of it then.
    """
    if not is_base_url(upstream):
        refuse(f"--upstream {upstream!r} is no address: write the agent's URL, as in http://127.0.0.1:8000")
    if longest is not None and not 0 < longest < math.inf:
        refuse(f"--longest {longest:g} is no length of time: write seconds above 0, as in 600, or leave it out")
    if not 0 <= grace < math.inf:
        refuse(f"--grace {grace:g} is no length of time: write the pod's terminationGracePeriodSeconds, as in 30")
    try:
        if token_file is not None:
            token_file.read_text(encoding="ascii")
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no ASCII text"
        refuse(f"--token-file {token_file} cannot be read: {why}; mount the Secret there, or leave the option out")


def _place(listen: str) -> tuple[str, int]:
    """Host and port of HOST:PORT."""
    host, colon, port = listen.rpartition(":")
    if not (colon and host and port.isdecimal() and int(port) <= LARGEST_PORT):
        refuse(f"--listen {listen!r} is no place to listen: write HOST:PORT, as in 0.0.0.0:8476")
    return host.strip("[]"), int(port)
