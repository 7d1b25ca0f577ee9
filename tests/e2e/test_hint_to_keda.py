"""A JSON page and a hint, the whole path: ``scaler serve`` reads the page, takes the hint, and tells KEDA over gRPC."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import aiohttp

from scaler.external.client import CallError, Client, Trigger, connected
from tests.support.documents import Documents, documents_at
from tests.support.process import answering, free_port, started
from tests.support.wait import eventually

CONFIG = """\
hints: {{callers: {{planner: {{token_file: {token}, namespaces: [agents]}}}}}}
pools:
  agents/coder:
    slots_per_pod: 10
    max: 100
    signals: {{queue: {{url: "{stats}/stats", path: "pools[0].queued"}}}}
    replicas: {{url: "{stats}/stats", path: "pools[0].replicas"}}
"""
CODER = Trigger("agents", "coder")
FAN_OUT = {"pool": "agents/coder", "slots": 40, "duration": "5m", "reason": "40 sub-agents"}


async def told(keda: Client, wanted: float) -> None:
    """Return when KEDA is told this target."""

    async def target() -> bool | None:
        """KEDA is told the target."""
        try:
            return True if (await keda.poll(CODER)).value == wanted else None
        except CallError:
            return None  # not evaluated yet

    await eventually(target)


async def test_a_page_says_what_is_queued_and_a_hint_what_will_be(tmp_path: Path) -> None:
    """Nothing is queued: 0. Thirty tasks queue: 3. Forty sub-agents are announced: 7 at once, beyond the rate limit."""
    pages, token, config = Documents(), tmp_path / "token", tmp_path / "pools.yaml"
    await asyncio.to_thread(token.write_text, "secret")
    pages.answers["/stats"] = '{"pools": [{"queued": 0, "replicas": 0}]}'
    async with documents_at(pages) as stats:
        await asyncio.to_thread(config.write_text, CONFIG.format(token=token, stats=stats))
        keda, http = (f"127.0.0.1:{free_port()}" for _ in range(2))
        command = (sys.executable, "-m", "scaler", "serve", config, "--keda", keda, "--http", http)
        async with started(*command) as scaler, connected(keda) as client:
            await answering(f"http://{http}/readyz", scaler)
            await told(client, 0)
            pages.answers["/stats"] = '{"pools": [{"queued": 30, "replicas": 3}]}'
            await told(client, 3)
            headers = {"Authorization": "Bearer secret"}
            page = f"http://{http}/api/v1/hints"
            async with aiohttp.request("POST", page, json=FAN_OUT, headers=headers) as answer:
                assert answer.status == 202, await answer.text()
            assert (await client.poll(CODER)).value == 7
