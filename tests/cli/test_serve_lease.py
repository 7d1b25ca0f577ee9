"""``scaler serve --lease``: two replicas, of which one leads, before a server on loopback that has the Lease."""

from __future__ import annotations

import json
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from scaler.controller.badge import LABEL
from scaler.external.client import CallError, Trigger, connected
from tests.cli.conftest import Scaler
from tests.cli.serving import Served, serving
from tests.support.api_server import ApiServer, api_server
from tests.support.wait import eventually

LEASE = "/apis/coordination.k8s.io/v1/namespaces/keda/leases/agent-scaler"
POD = "/api/v1/namespaces/keda/pods/"
CODER = Trigger("agents", "coder")


@dataclass
class Pair:
    """A replica that leads, and one that stands by."""

    server: ApiServer
    leader: Served
    standby: Served


@asynccontextmanager
async def pair(config: Path) -> AsyncIterator[Pair]:
    """Two replicas of one file; the first leads."""
    async with api_server(config.parent) as (server, kubeconfig), AsyncExitStack() as stack:
        server.add(LEASE, spec={"leaseTransitions": 1})
        served = []
        for pod in ("one", "two"):
            server.add(f"{POD}{pod}")
            options = ("--lease", "keda/agent-scaler", "--identity", pod, "--kubeconfig", kubeconfig)
            served.append(await stack.enter_async_context(serving(config, *options)))
            await served[-1].ready()
            await value(served[0])
        yield Pair(server, *served)


async def value(served: Served) -> float:
    """What KEDA is told, once it is told something."""

    async def told() -> float | None:
        """A poll gets a value."""
        async with connected(served.keda) as keda:
            try:
                return (await keda.poll(CODER)).value
            except CallError:
                return None

    return await eventually(told)


async def test_one_answers_and_the_other_is_ready(config: Path) -> None:
    """Both pass their probes; only the leader's figures of pools are on its page, and only it has the API."""
    async with pair(config) as both, connected(both.standby.keda) as keda:
        assert await both.leader.metric("agent_scaler_leader") == 1
        assert await both.standby.metric("agent_scaler_leader") == 0
        figure = 'agent_scaler_pool_target_replicas{pool="coder",pool_namespace="agents"}'
        assert (await both.leader.metric(figure), await both.standby.metric(figure)) == (1, None)
        assert await both.standby.metric("agent_scaler_ticks_total") != 0
        with pytest.raises(CallError, match=r"UNAVAILABLE: this replica stands by, and one_.* leads"):
            await keda.poll(CODER)
        async with aiohttp.request("POST", f"http://{both.standby.http}/api/v1/hints") as answer:
            assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
            assert "this replica stands by, and one_" in json.loads(await answer.text())["detail"]
        assert await both.leader.page("/api/v1/pools") is not None


async def test_the_other_takes_over_when_the_first_ends(config: Path) -> None:
    """Streams end with OK before the Lease is given back; then the other is labelled and answers the same number."""
    async with pair(config) as both, connected(both.leader.keda) as keda:
        pushes = keda.pushes(CODER)
        assert await anext(pushes) is True
        both.leader.process.send_signal(signal.SIGTERM)
        assert [push async for push in pushes] == []
        assert (await both.standby.logged("this replica leads"))["epoch"] == 3
        assert await value(both.standby) == 1
        assert (await both.leader.ended(), (await both.leader.rest())[-1]) == (0, "stopped")

        async def labelled() -> bool | None:
            """The Service would find the other."""
            labels = [both.server.objects[POD + pod]["metadata"].get("labels", {}) for pod in ("one", "two")]
            return labels == [{}, {LABEL: "true"}] or None

        await eventually(labelled)


async def test_a_new_term_begins_with_what_is_true_then(config: Path, agent: tuple[object, str]) -> None:
    """Nothing that a replica decided while it stood by is answered, and it lowers nothing for one idle timer."""
    async with pair(config) as both:
        both.leader.process.kill()
        both.server.objects[LEASE]["spec"].pop("holderIdentity")
        both.server.objects[LEASE]["metadata"]["resourceVersion"] = "given-back"
        await both.standby.logged("this replica leads")
        assert await value(both.standby) == 1
        explained = await both.standby.page("/api/v1/pools/agents/coder/explain")
        assert explained is not None
        assert "reported to KEDA: 1" in explained


NO_LEASE = "is no Lease: write NAMESPACE/NAME, as in keda/agent-scaler"


@pytest.mark.parametrize(
    ("lease", "why"),
    [
        ("agent-scaler", f"--lease 'agent-scaler' {NO_LEASE}"),
        ("a/B", f"--lease 'a/B' {NO_LEASE}"),
        ("a/b", "--lease needs the API server: no kubeconfig, and no ServiceAccount of a pod"),
    ],
)
def test_what_is_no_lease_is_bad_input(scaler: Scaler, config: Path, lease: str, why: str) -> None:
    """And so is one without an API server to have it."""
    told = scaler("serve", config, "--lease", lease)
    assert told.exit_code == 2
    assert told.stderr.splitlines()[-1].startswith(why)
