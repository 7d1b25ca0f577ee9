"""``scaler release --pod``: a person gives one pod up, and is told before what is lost with it."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import typer

from scaler.cli.output import as_json, fail, refuse
from scaler.config.names import is_name, is_namespace
from scaler.controller.api import ApiError, ConnectError, open_api
from scaler.controller.forfeit import acts
from scaler.controller.release import Act, Failed, carry_out
from scaler.live.clock import SystemClock


def forfeit(pod: str, kubeconfig: Path | None, *, yes: bool, json: bool) -> None:
    """Give the pod up, and say what was done; exit 1 if it stays."""
    path = _path(pod)
    try:
        done, failed = asyncio.run(_given_up(path, kubeconfig, yes=yes))
    except (ApiError, ConnectError) as error:
        fail(f"{error}; name the way to the API server with --kubeconfig")
    if json:
        as_json([{"act": act.what, "failed": failed.why if failed and failed.act is act else None} for act in done])
    else:
        for act in done:
            typer.echo(f"{act.what}{': not done' if failed and failed.act is act else ''}")
    if failed:
        fail(f"{failed.act.what}: {failed.why}; it takes the verb forcedrain on pods, and those to patch and delete it")


def _path(pod: str) -> str:
    """Where the API server has the pod that is named on the command line."""
    namespace, slash, name = pod.partition("/")
    if not (slash and is_namespace(namespace) and is_name(name)):
        refuse(f"{pod!r} is no pod: write NAMESPACE/NAME, as in agents/coder-7d9f-x2x4k")
    return f"/api/v1/namespaces/{namespace}/pods/{name}"


async def _given_up(path: str, kubeconfig: Path | None, *, yes: bool) -> tuple[list[Act], Failed | None]:
    """What was tried, one act after the other until one fails, and that one."""
    async with open_api(kubeconfig) as api:
        found, lost = await acts(api, path)
        typer.echo(lost, err=True)
        if found and not yes:
            _confirm()
        clock, done = SystemClock(), []
        for act in found:
            done.append(act)
            if (failed := await carry_out(api, act, clock)) is not None:
                return done, failed
        return done, None


def _confirm() -> None:
    if not sys.stdin.isatty():
        refuse("to do this without being asked, add --yes")
    typer.confirm("Take this pod all the same?", abort=True, err=True)
