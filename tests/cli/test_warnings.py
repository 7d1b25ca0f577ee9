"""What a configuration may surprise people with: told in the log once, and no fault."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from structlog.testing import capture_logs

from scaler.cli.warnings import Warner
from scaler.config.check import checked
from tests.cli.serving import start
from tests.cli.world import FILE
from tests.support.process import stop

UNSEEN, SEEN = checked(FILE), checked(FILE.replace("min: 2", "min: 2, pods: {workload: 'deployments/{name}'}"))
CARELESS = checked(f"defaults: {{guarantee: best-effort}}\n{FILE}")
WARNING, NOTE = (
    "protected pools only rise, for nobody drains pods",
    "protected pools only rise until their pods are found",
)


def told(warner: Warner, *files: str) -> list[tuple[str, str, int, str]]:
    """Level, event, pools and the beginning of why, of each line that these settings make one after the other."""
    settings = {"unseen": UNSEEN, "seen": SEEN, "careless": CARELESS}
    with capture_logs() as log:
        for file in files:
            warner.look(settings[file])
    return [(line["log_level"], line["event"], line["pools"], line["why"].partition(":")[0]) for line in log]


def test_without_a_controller_every_protected_pool_is_told_of_once() -> None:
    """Pods that are seen do not help it: nobody drains them. A reload that changes nothing of it says nothing."""
    warning = ("warning", WARNING, 1, "pools agents/coder")
    assert told(Warner(controlled=False), "unseen", "seen", "careless", "careless", "unseen") == [warning, warning]


def test_with_a_controller_it_is_those_whose_pods_the_file_does_not_name() -> None:
    """They may be those of a ScaledObject, which the controller finds, so this is no warning."""
    assert told(Warner(controlled=True), "unseen", "unseen", "seen") == [("info", NOTE, 1, "pools agents/coder")]


async def test_it_is_told_when_the_scaler_starts(config: Path) -> None:
    """Before it serves: whoever starts it reads it first."""
    process = await start(config)
    try:
        assert process.stderr is not None
        async with asyncio.timeout(30):
            line = json.loads(await process.stderr.readline())
        assert (line["event"], line["level"]) == (WARNING, "warning")
        assert "; serve with --control, or set guarantee: best-effort, under which the HPA takes whom" in line["why"]
    finally:
        await stop(process)
