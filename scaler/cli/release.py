"""``scaler release``: takes everything of ours off a pool, or out of a cluster, whether a controller lives or not."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from pathlib import Path

import typer

from scaler.cli.output import as_json, fail, refuse
from scaler.config.pool import PoolKey
from scaler.controller.api import Api, ApiError, ConnectError, open_api
from scaler.controller.names import POOL
from scaler.controller.release import Act, Failed, acts, carry_out, counted
from scaler.live.clock import SystemClock

ROUNDS = 2
AGAIN = "it is there again: a controller that lives wants this pool; take it out of the configuration first"
ABSENT = (
    "no pod, no budget and no word on its namespace is of {}, so it was freed before, or has another name; "
    f"kubectl get pods --all-namespaces --label-columns {POOL} shows the pools that have pods"
)
LEFT = (
    "Our Deployment and its namespace are left, without any right: kubectl delete namespace agent-scaler.\n"
    "Pods keep their tolerations and their grace period until they end; those whose drain had begun take no new work."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the command line asks for: a pool, or all where that is None."""

    pool: PoolKey | None
    kubeconfig: Path | None
    yes: bool
    json: bool


def release(asked: Asked) -> None:
    """Free the pool, or everything, and say what was done; exit 1 if something stays."""
    try:
        failed = asyncio.run(_released(asked))
    except (ApiError, ConnectError) as error:
        fail(f"{error}; name the way to the API server with --kubeconfig")
    if failed:
        fail("\n".join(f"{each.act.what}: {each.why}" for each in failed))


async def _released(asked: Asked) -> list[Failed]:
    """Do it, and again what came back meanwhile: a controller writes until it has no right to."""
    async with open_api(asked.kubeconfig) as api:
        found = [act async for act in acts(api, asked.pool)]
        if found and not asked.yes:
            _confirm(found)
        failed = await _done(api, found)
        for _ in range(ROUNDS):
            found += (again := [act for act in await _left(api, asked.pool) if act.what not in _names(failed)])
            failed += await _done(api, again)
        failed += [Failed(act, AGAIN) for act in await _left(api, asked.pool) if act.what not in _names(failed)]
        _tell(asked, found, failed)
        return failed


async def _done(api: Api, found: list[Act]) -> list[Failed]:
    """Carry these out, one after the other. The value is what failed."""
    clock = SystemClock()
    return [failed for act in found if (failed := await carry_out(api, act, clock)) is not None]


def _names(failed: list[Failed]) -> set[str]:
    return {each.act.what for each in failed}


async def _left(api: Api, pool: PoolKey | None) -> list[Act]:
    """What stands there all the same; a pod that was deleted may take its time to end."""
    return [act async for act in acts(api, pool) if not act.what.startswith("delete drained")]


def _confirm(found: list[Act]) -> None:
    typer.echo("\n".join(counted(found)), err=True)
    if not sys.stdin.isatty():
        refuse("to do this without being asked, add --yes")
    typer.confirm("Do all of this? Nothing will guard these pods any more.", abort=True, err=True)


def _tell(asked: Asked, found: list[Act], failed: list[Failed]) -> None:
    undone = {each.act.what: each.why for each in failed}
    if not found and asked.pool is not None:
        typer.echo(f"there is no such pool: {ABSENT.format(asked.pool)}", err=True)
    if asked.json:
        as_json([{"act": act.what, "failed": undone.get(act.what)} for act in found])
        return
    if not found and asked.pool is not None:
        return
    for act in found:
        typer.echo(f"{act.what}{': not done' if act.what in undone else ''}")
    typer.echo(f"{len(found) - len(undone)} done, {len(undone)} not done" if found else "nothing of ours is here")
    if found and asked.pool is None:
        typer.echo(LEFT)
