"""``scaler doctor``: reads a cluster, and says what could still take a pod away, and what to do about it."""

from __future__ import annotations

import asyncio
from itertools import groupby
from pathlib import Path

import typer

from scaler.cli.output import FAILED, as_json, fail
from scaler.controller.api import ApiError, ConnectError, StaleError, open_api
from scaler.controller.doctor.catalogue import CHECKS
from scaler.controller.doctor.findings import Finding, examine
from scaler.controller.doctor.gather import gather
from scaler.core.wording import counted


def examine_cluster(kubeconfig: Path | None, address: str, *, json: bool) -> None:
    """Print what is found; exit 1 if anything is."""
    try:
        found = asyncio.run(_found(kubeconfig, address))
    except (ApiError, ConnectError, StaleError) as error:
        fail(f"{error}; name the way to the API server with --kubeconfig")
    if json:
        as_json([_told(finding) for finding in found])
    else:
        for check, findings in groupby(found, key=lambda finding: finding.check):
            for finding in findings:
                typer.echo(f"{finding.hit.object}: {finding.hit.seen}")
            typer.echo(f"  {check.name}: {check.danger}")
            typer.echo(f"  fix: {check.fix}")
        typer.echo(f"{counted(len(found), 'finding')} in {len(CHECKS)} checks")
    if found:
        raise typer.Exit(FAILED)


async def _found(kubeconfig: Path | None, address: str) -> list[Finding]:
    async with open_api(kubeconfig) as api:
        return examine(await gather(api, address), CHECKS)


def _told(finding: Finding) -> dict[str, str]:
    check, hit = finding.check, finding.hit
    return {"check": check.name, "object": hit.object, "seen": hit.seen, "danger": check.danger, "fix": check.fix}
