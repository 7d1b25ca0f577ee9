"""Examines a gate at a URL and tells what was found."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import typer

from scaler.agent.clock import SystemClock
from scaler.agent.conformance.checks import Finding
from scaler.agent.conformance.checks import examine as found
from scaler.agent.conformance.subject import BrokenError, Ended, Subject
from scaler.cli.addresses import is_base_url
from scaler.cli.output import FAILED, as_json, refuse
from scaler.controller.orders import KeyFileError, Signer


def examine(url: str, key: Path, kid: str, commands: tuple[str | None, str | None], *, json: bool) -> None:
    """Print every sentence of the contract with what was found, and exit 1 if one is broken."""
    try:
        signer = Signer.read(key, kid)
    except KeyFileError as error:
        refuse(str(error))
    if not is_base_url(url):
        refuse(f"{url!r} is no place to ask; write a URL, as in http://10.1.2.3:8476")
    work, restart = commands
    subject = Subject(
        url,
        signer.sign,
        SystemClock().now,
        None if work is None else lambda: _started(work),
        None if restart is None else lambda: _ran(restart),
    )
    findings = found(subject)
    if json:
        as_json({"url": url, "keeps": _keeps(findings), "findings": [asdict(finding) for finding in findings]})
    else:
        typer.echo("\n".join(_line(finding) for finding in findings))
    if not _keeps(findings):
        raise typer.Exit(FAILED)


def _keeps(findings: Sequence[Finding]) -> bool:
    return all(finding.holds is not False for finding in findings)


def _line(finding: Finding) -> str:
    word = {True: "holds   ", False: "BROKEN  ", None: "not seen"}[finding.holds]
    return f"{word} {finding.check}: {finding.sentence}" + (f"\n         {finding.why}" if finding.why else "")


def _started(command: str) -> Ended:
    """Start a command; its end is the end of the work, and its failure says that the work was refused."""
    process = subprocess.Popen(shlex.split(command), stdout=subprocess.DEVNULL)  # noqa: S603 (the user's own command)
    return lambda: process.wait() == 0


def _ran(command: str) -> None:
    ran = subprocess.run(shlex.split(command), check=False, stdout=subprocess.DEVNULL)  # noqa: S603 (the user's own command)
    if ran.returncode:
        raise BrokenError(f"{command!r} ended with {ran.returncode}, so the agent was not restarted")
