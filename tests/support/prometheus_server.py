"""A real Prometheus, from Debian's package, scraping once a second."""

from __future__ import annotations

import json
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from tests.support.process import answering, free_port, program, started

CONFIG = """\
global:
  scrape_interval: 1s
scrape_configs:
  - job_name: agents
    static_configs:
      - targets: [{targets}]
"""


@dataclass(frozen=True)
class Server:
    """A running Prometheus."""

    url: str
    process: Process

    async def knows(self, query: str) -> bool:
        """Whether the query yields anything yet."""
        async with aiohttp.request("GET", f"{self.url}/api/v1/query", params={"query": query}) as response:
            return bool(json.loads(await response.text())["data"]["result"])


@asynccontextmanager
async def prometheus(home: Path, *targets: str) -> AsyncIterator[Server]:
    """Run it on these agents' base URLs, with its data below ``home``."""
    binary, port = program("prometheus", "prometheus"), free_port()
    config = home / "prometheus.yml"
    config.write_text(CONFIG.format(targets=", ".join(url.removeprefix("http://") for url in targets)))
    command = (
        f"--config.file={config}",
        f"--storage.tsdb.path={home / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    )
    async with started(binary, *command) as process:
        url = f"http://127.0.0.1:{port}"
        await answering(f"{url}/-/ready", process)
        yield Server(url, process)
