"""``scaler serve``, as a program: started on free ports, read over HTTP and gRPC, and ended by a signal."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path

import pytest

from scaler.cli.controlling import Asked, unused
from scaler.config.check import checked
from scaler.external.client import CallError, Client, Trigger, connected
from tests.cli.conftest import Scaler
from tests.cli.serving import serving, start
from tests.support.process import stop


async def test_it_answers_keda_and_people_from_one_outcome_and_ends_in_order(config: Path) -> None:
    """From the start to SIGTERM: ready, polled, explained, scraped; streams end with OK and the exit code is 0."""
    trigger = Trigger("agents", "coder", {"scalerAddress": "scaler:6000", "max": "4"})
    async with serving(config) as served, connected(served.keda) as keda:
        await served.ready()
        polled = await keda.poll(trigger)
        assert (polled.value, polled.active) == (1, True)
        explained = await served.page("/api/v1/pools/agents/coder/explain")
        assert explained is not None
        assert "reported to KEDA: 1" in explained
        assert "  max = 4 (trigger metadata)" in explained
        metrics = await served.page("/metrics")
        assert metrics is not None
        assert 'agent_scaler_pool_reported_replicas{pool="coder",pool_namespace="agents"} 1.0' in metrics
        pushes = keda.pushes(trigger)
        assert await anext(pushes) is True
        served.process.send_signal(signal.SIGTERM)
        assert [pushed async for pushed in pushes] == []
        assert await served.ended() == 0


async def test_a_pool_may_come_from_its_trigger_and_none_from_another_namespace(config: Path) -> None:
    """What a trigger may not say is told to KEDA with key and way out."""
    async with serving(config) as served, connected(served.keda) as keda:
        assert "INVALID_ARGUMENT: replicas: nothing says" in await refused(keda, Trigger("agents", "new"))
        foreign = Trigger("billing", "coder", {"pool": "agents/coder"})
        assert "PERMISSION_DENIED: pool = 'agents/coder': a pool is read only by" in await refused(keda, foreign)
        slip = Trigger("agents", "coder", {"maxx": "3"})
        assert 'INVALID_ARGUMENT: maxx = 3: unknown key; did you mean "max"?' in await refused(keda, slip)


async def refused(keda: Client, trigger: Trigger) -> str:
    """What the scaler answers instead of a value."""
    with pytest.raises(CallError) as caught:
        await keda.poll(trigger)
    return str(caught.value)


async def test_a_place_that_is_taken_is_told(config: Path) -> None:
    """With its address, and the exit code of what did not work."""
    async with serving(config) as served:
        for option, place in (("keda", served.keda), ("http", served.http)):
            other = await start(config, **{option: place})
            _, told = await other.communicate()
            assert other.returncode == 1
            assert f"cannot listen on {place}" in told.decode()
            assert "choose another place with --keda or --http" in told.decode()


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--keda", "6000"], "--keda '6000' is no place to listen: write HOST:PORT, as in 0.0.0.0:6000\n"),
        (["--http", "x:99999"], "--http 'x:99999' is no place to listen: write HOST:PORT, as in 0.0.0.0:6000\n"),
    ],
)
def test_a_place_that_is_none_is_bad_input(scaler: Scaler, config: Path, arguments: list[str], why: str) -> None:
    """Nothing is started."""
    told = scaler("serve", config, *arguments)
    assert (told.exit_code, told.stderr) == (2, why)


def test_where_to_look_is_nothing_without_who_looks(scaler: Scaler, config: Path) -> None:
    """Namespaces are those of the controller."""
    told = scaler("serve", config, "--namespace", "x", "--namespace", "y")
    why = "--namespace x, y says where --control looks for ScaledObjects: add that, or leave it out\n"
    assert (told.exit_code, told.stderr) == (2, why)


WARM = "warm_pools: {pools: {agents/python: {}}}"


@pytest.mark.parametrize(
    ("asked", "leads", "file", "told"),
    [
        (
            Asked(key=Path("/k")),
            False,
            "{}",
            ["--drain-key /k: nobody signs orders without --control, or warm_pools in"],
        ),
        (Asked(kubeconfig=Path("/c")), False, "{}", ["--kubeconfig /c: nobody asks the API server without --lease"]),
        (Asked(kubeconfig=Path("/c")), True, "{}", []),
        (Asked(key=Path("/k"), kubeconfig=Path("/c")), False, WARM, []),
        (Asked(address="a:6000", key=Path("/k"), kubeconfig=Path("/c")), False, "{}", []),
        (Asked(), False, "{}", []),
    ],
    ids=["AKeyForNobody", "AWayForNobody", "AWayToTheLease", "WarmPoolsNeedBoth", "AControllerNeedsBoth", "Nothing"],
)
def test_an_option_that_nothing_uses_is_told(asked: Asked, leads: bool, file: str, told: list[str]) -> None:
    """Each row: what is asked for, whether a Lease is, and the file. Warm pools may still come, so it is no refusal."""
    found = list(unused(asked, leads=leads, settings=checked(file)))
    assert [line.startswith(beginning) for line, beginning in zip(found, told, strict=True)] == [True] * len(told)


async def test_such_an_option_is_told_at_the_start(config: Path) -> None:
    """In the log, before it serves."""
    process = await start(config, "--drain-key", "/nope")
    try:
        assert process.stderr is not None
        async with asyncio.timeout(30):
            lines = [json.loads(await process.stderr.readline()) for _ in range(2)]
        assert [(line["level"], line["event"]) for line in lines][1] == ("warning", "an option is of no use")
    finally:
        await stop(process)


def test_a_file_that_cannot_be_used_is_bad_input(scaler: Scaler, config: Path) -> None:
    """Every problem is told, each with the file's name, and nothing is started."""
    config.write_text("mode: on\npools: {a: {}}")
    told = scaler("serve", config)
    assert told.exit_code == 2
    first, second = told.stderr.splitlines()
    assert first.startswith(f"{config}: line 1: mode = 'on': must be off, recommend or auto")
    assert second.startswith(f"{config}: line 2: pools.a = 'a': must be NAMESPACE/NAME")
