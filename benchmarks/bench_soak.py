"""The running scaler with 5,000 pools of 20 pods, while KEDA and the HPA ask as often as they do for 10,000.

``--pools N`` says what less comes to: so many pools, and calls for twice as many ScaledObjects.

Two runs. In ``pods``, pools have pods that are read one by one, a fifth of which take up or end work from tick to tick:
``soak_server`` is the scaler with those made up in its own process, where their cost counts with the rest. ``pages`` is
``scaler serve`` as it stands, with pools whose queue, tasks and replicas are on a page of their namespace, which is how
pools by the thousand can be read at all, and with a Prometheus that takes its metrics. In both the queues are read once
a second, journal and memories are kept, and the replicas follow what is told.

The calls are those for 10,000 ScaledObjects with push triggers (see ``keda_traffic``): each of the 5,000 pools is asked
twice as often, and has twice as many streams open, 20,000 in all. Memory is told with them.
The same calls are put to a server that does nothing, which is the reference of what the answers cost. How far the ticks
are apart is read in the journal.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory
from time import perf_counter, time
from typing import Final

import aiohttp

from benchmarks import CannotMeasureError, Goal, Result
from benchmarks.keda_traffic import VISITS, Traffic, TrafficError, connected, quantile, visits, watches
from benchmarks.soak_world import World, keys, pages, settings
from scaler.live.segments import segments

POOLS: Final = 5_000
ASKED_FOR: Final = 2  # ScaledObjects for each pool
MINUTES: Final = 3.0
WARM_UP: Final = 20.0  # seconds in which every pool is ticked a few times, and asked half as often
REFERENCE: Final = 15.0  # seconds
SCRAPES: Final = 30.0  # seconds from one of Prometheus to the next
READY: Final = 30.0  # seconds within which the scaler says that it is


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process had used at an instant: seconds of CPU, the kernel's work for it included, and KiB of memory."""

    at: float
    cpu: float
    memory: float

    @classmethod
    def of(cls, pid: int) -> Usage:
        """Of this one, now."""
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        cpu = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        return cls(perf_counter(), cpu, int(fields[21]) * os.sysconf("SC_PAGE_SIZE") / 1024)

    def cores(self, since: Usage) -> float:
        """Seconds of CPU a second since then."""
        return (self.cpu - since.cpu) / (self.at - since.at)


@dataclass(frozen=True, slots=True)
class Soak:
    """What a run came to: cores, KiB a pool at its beginning and end, and calls of GetMetrics.

    Attributes:
        began: the instant at which it was warm, in seconds since the epoch.
        answered: good answers a second.
        p99: seconds until an answer came, good or bad.
        ready: seconds from the start until it said that it was ready, where that was asked.
    """

    began: float
    cores: float
    memory: tuple[float, float]
    answered: float
    p99: float
    ready: float | None = None


@dataclass(slots=True)
class Ticks:
    """What the journal says of them: seconds between two of a pool, and bytes of first lines and of later ones."""

    apart: list[float] = field(default_factory=list)
    first: list[int] = field(default_factory=list)
    later: list[int] = field(default_factory=list)


def run(minutes: float = MINUTES, pools: int = POOLS) -> Iterator[Result]:
    """Both runs with so many pools, each for half of so many minutes once it is warm."""
    if not Path("/proc/self/stat").exists():
        raise CannotMeasureError("what a process uses is read in /proc, which Linux has")
    try:
        idle = asyncio.run(reference(pools))
        for name in ("pods", "pages"):
            with TemporaryDirectory() as folder:
                soak = asyncio.run(soaked(name, Path(folder), minutes * 30, pools))
                ticked = ticks(Path(folder) / "journal", soak.began)
                if not ticked.apart:
                    raise CannotMeasureError("no pool was ticked twice while it was asked; the machine is too busy")
                yield from results(name, soak, idle, ticked)
    except TrafficError as error:
        raise CannotMeasureError(f"{error}; the machine may be too busy") from error


def results(name: str, soak: Soak, idle: Soak, ticked: Ticks) -> Iterator[Result]:
    """The figures of a run."""
    figures = [
        ("cores", "cores", soak.cores, idle.cores, Goal("figure", "<=", 1.0)),
        ("GetMetrics answered", "calls/s", soak.answered, idle.answered, Goal("ratio", ">=", 0.99)),
        ("GetMetrics p99", "ms", soak.p99 * 1e3, idle.p99 * 1e3, Goal("figure", "<=", 100)),
        ("ticks apart p99", "s", quantile(ticked.apart, 0.99), quantile(ticked.apart, 0.5), Goal("figure", "<=", 5.05)),
        ("memory", "KiB/pool", soak.memory[1], soak.memory[0], Goal("ratio", "<=", 1.1)),
        ("journal", "bytes/tick", mean(ticked.later), mean(ticked.first), Goal("figure", "<=", 400)),
    ]
    if soak.ready is not None:
        figures.append(("ready", "s", soak.ready, started(), Goal("figure", "<=", READY)))
    for what, unit, figure, beside, goal in figures:
        yield Result(name=f"soak {name}, {what}", figure=figure, unit=unit, reference=beside, goal=goal)


async def reference(pools: int) -> Soak:
    """The same calls to a server that does nothing."""
    command = (sys.executable, "-m", "benchmarks.rpc_servers", "idle")
    server = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE)
    try:
        port = int(await server.stdout.readline()) if server.stdout else 0
        async with connected(keys(pools), port) as traffic:
            return await measured(server, traffic, REFERENCE, pools)
    finally:
        if server.stdin:
            server.stdin.close()
        await server.wait()


async def soaked(name: str, folder: Path, seconds: float, pools: int) -> Soak:
    """One run."""
    there, began = keys(pools), perf_counter()
    world = World(there)
    async with pages(world) as port:
        folder.joinpath("pools.yaml").write_text(settings(there, port, pods=name == "pods"), encoding="utf-8")
        async with scaler(name, folder) as (process, places):
            ready = await readiness(places["http"], began) if "http" in places else None
            async with connected(there, places["keda"]) as traffic:
                world.told = traffic.told
                await watches(traffic, pools, ASKED_FOR)
                await visits(traffic, pools * ASKED_FOR * VISITS / 2, WARM_UP)
                scraping = asyncio.create_task(scraped(places.get("http")))
                soak = await measured(process, traffic, seconds, pools)
                scraping.cancel()
                await asyncio.wait([scraping])
                return replace(soak, ready=ready)


async def measured(process: Process, traffic: Traffic, seconds: float, pools: int) -> Soak:
    """What the process uses while it is asked."""
    traffic.forget()
    began, before = time(), Usage.of(process.pid)
    await visits(traffic, pools * ASKED_FOR * VISITS, seconds)
    after, answers = Usage.of(process.pid), traffic.answers["GetMetrics"]
    return Soak(
        began=began,
        cores=after.cores(before),
        memory=(before.memory / pools, after.memory / pools),
        answered=(len(answers.took) - answers.failed) / (after.at - before.at),
        p99=quantile(answers.took, 0.99),
    )


@asynccontextmanager
async def scaler(name: str, folder: Path) -> AsyncIterator[tuple[Process, dict[str, int]]]:
    """The scaler at work, and the ports where it listens."""
    config, local = folder / "pools.yaml", "127.0.0.1:0"
    command: list[str | Path] = ["benchmarks.soak_server", config, folder]
    if name == "pages":
        kept: list[str | Path] = ["--memory", folder / "memory", "--journal", folder / "journal"]
        command = ["scaler", "serve", config, "--keda", local, "--http", local, *kept]
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", *command, stderr=PIPE)
    log = process.stderr or asyncio.StreamReader()
    try:
        places = await serving(log)
        reading = asyncio.create_task(log.read())  # or its pipe would fill
        yield process, places
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()
    await reading


async def serving(log: asyncio.StreamReader) -> dict[str, int]:
    """The ports, once it says where it listens."""
    said = b""
    while line := await log.readline():
        said = line
        told = json.loads(line) if line.startswith(b"{") else {}
        if told.get("event") == "serving":
            return {door: told[door] for door in ("keda", "http") if door in told}
    raise CannotMeasureError(f"the scaler did not start: {said.decode()}")


async def readiness(port: int, since: float) -> float:
    """Seconds until it says that it is ready."""
    async with aiohttp.ClientSession() as session:
        while perf_counter() - since < 2 * READY:
            async with session.get(f"http://127.0.0.1:{port}/readyz") as answer:
                if answer.ok:
                    return perf_counter() - since
            await asyncio.sleep(0.2)
    raise CannotMeasureError(f"the scaler was not ready within {2 * READY:g} s")


async def scraped(port: int | None) -> None:
    """Take its metrics as Prometheus does, until cancelled."""
    async with aiohttp.ClientSession() as session:
        while port is not None:
            async with session.get(f"http://127.0.0.1:{port}/metrics") as answer:
                await answer.read()
            await asyncio.sleep(SCRAPES)


def started() -> float:
    """Seconds that the program takes to start and to say its version."""
    begun = perf_counter()
    subprocess.run([sys.executable, "-m", "scaler", "--version"], check=True, capture_output=True)
    return perf_counter() - begun


def ticks(journal: Path, since: float) -> Ticks:
    """Those after an instant."""
    found, last = Ticks(), dict[int, float]()
    for path in segments(journal):
        for line in path.read_bytes().splitlines(keepends=True):
            told = json.loads(line)
            if "t" not in told:
                last.clear()  # another file, whose pools begin anew
                continue
            first, before = "pool" in told, last.get(told["n"], 0.0)
            at = last[told["n"]] = (
                told["t"][0] if isinstance(told["t"], list) else told["t"] + (0.0 if first else before)
            )
            if at > since:
                (found.first if first else found.later).append(len(line))
                found.apart += [] if first else [at - before]
            elif first:
                found.first.append(len(line))
    return found
