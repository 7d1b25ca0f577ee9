"""The fleet as a process: ``python -m tests.cluster.harness.fleet --kubeconfig FILE --journal FILE``.

It prints where its pages are once it serves them, and ends at SIGTERM and SIGINT.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import resource
import signal
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from scaler.agent.doors.alone import PORT
from scaler.live.clock import SystemClock
from tests.cluster.harness.agents import Fleet, Gates
from tests.cluster.harness.api import open_api
from tests.cluster.harness.pages import pages


@dataclass(frozen=True, slots=True)
class Options:
    """How the fleet is started.

    Attributes:
        journal: the file it writes, and reads first where there is one.
        label: the label whose value is a pod's pool.
        namespace: where the pods are; None for all namespaces.
        port: where every agent listens, at its pod's address.
        control: where the pages are.
        gates: where the agents' gates keep their state, and the key set whose orders they believe.
    """

    kubeconfig: Path
    journal: Path
    label: str
    namespace: str | None
    port: int
    control: tuple[str, int]
    gates: Gates


def options(arguments: list[str] | None = None) -> Options:
    """The options as they were typed."""
    parser = argparse.ArgumentParser(prog="fleet", description="Be the agents of every pod that has a label.")
    parser.add_argument("--kubeconfig", type=Path, required=True)
    parser.add_argument("--journal", type=Path, required=True, help="written, and read first where there is one")
    parser.add_argument("--label", default="app", help="the label whose value is a pod's pool (default: %(default)s)")
    parser.add_argument("--namespace", help="where the pods are (default: everywhere)")
    parser.add_argument(
        "--port", type=int, default=PORT, help="of every agent, at its pod's address (default: %(default)s)"
    )
    parser.add_argument(
        "--control", default="127.0.0.1:0", metavar="HOST:PORT", help="of the pages; port 0 takes a free one"
    )
    parser.add_argument("--state", type=Path, help="where gates keep theirs (default: beside the journal)")
    parser.add_argument("--keys", type=Path, help="the key set of drain orders; without it none is believed")
    typed = parser.parse_args(arguments)
    gates = Gates(typed.state or typed.journal.with_suffix(".gates"), typed.keys)
    host, _, port = typed.control.rpartition(":")
    return Options(typed.kubeconfig, typed.journal, typed.label, typed.namespace, typed.port, (host, int(port)), gates)


async def run(options: Options) -> None:
    """Serve until told to stop."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    fleet = Fleet(SystemClock(), options.journal, options.port, options.gates)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(fleet.close)
        api = await stack.enter_async_context(open_api(options.kubeconfig))
        runner = web.AppRunner(pages(fleet), access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, *options.control).start()
        host, port = runner.addresses[0][:2]
        print(f"http://{host}:{port}", flush=True)  # noqa: T201 (whoever started it reads it)
        following = asyncio.create_task(fleet.follow(api, options.label, namespace=options.namespace))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait([following, stopping], return_when=asyncio.FIRST_COMPLETED)
        for task in (following, stopping):
            task.cancel()
        if following.done() and not following.cancelled():
            following.result()


def main() -> None:
    """Run the command line."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # every agent listens on a socket of its own
    asyncio.run(run(options()))


if __name__ == "__main__":
    main()
