"""The door beside a server that does nothing: GetMetrics and IsActive with ten thousand pools on the board.

Both are grpc.aio servers of the same protocol in processes of their own, on loopback, and both read the whole request;
the reference then answers a constant. The load generator is h2load, which knows no gRPC and repeats one request body:
so several of them run at once, each for another pool, and for other pools in each round. The servers take turns, and
the medians of their rounds are compared. A round counts only if its answers had the length of right ones.
"""

from __future__ import annotations

import re
import shutil
import statistics
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from google.protobuf.message import Message

from benchmarks import CannotMeasureError, Goal, Result
from benchmarks.rpc_servers import METADATA, POOLS, REPLICAS, pool
from scaler.external import wire
from scaler.external.proto import externalscaler_pb2 as pb

ROUNDS: Final = 9
GENERATORS: Final = 6  # h2loads at once, each for another pool
REQUESTS: Final = 1_500  # of each of them in a round
STREAMS: Final = 8  # calls of each of them under way
STRIDE: Final = 787  # from one pool to the next that is asked for; coprime to the number of pools
GOAL: Final = Goal("ratio", ">=", 0.8)
ANSWERS: Final[dict[str, Message]] = {"GetMetrics": wire.metrics(wire.METRIC, REPLICAS), "IsActive": wire.ACTIVE}


def run() -> Iterator[Result]:
    """Calls per second of each RPC."""
    if shutil.which("h2load") is None:
        raise CannotMeasureError("h2load is missing; on Debian and Ubuntu: apt install nghttp2-client")
    with serving("door") as door, serving("idle") as idle, TemporaryDirectory() as folder:
        for rpc in ANSWERS:
            ours, reference = take_turns(rpc, (door, idle), Path(folder))
            yield Result(name=f"rpc {rpc}", figure=ours, unit="calls/s", reference=reference, goal=GOAL)


@contextmanager
def serving(name: str) -> Iterator[int]:
    """One of the servers in a process of its own; the value is its port."""
    command = [sys.executable, "-m", "benchmarks.rpc_servers", name]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        try:
            line = server.stdout.readline() if server.stdout else ""
            if not line:
                raise CannotMeasureError(f"the server {name!r} did not start; it has said why above")
            yield int(line)
        finally:
            if server.stdin:
                server.stdin.close()


def take_turns(rpc: str, ports: tuple[int, int], folder: Path) -> tuple[float, float]:
    """Calls per second of both servers: the medians of rounds in which each goes first as often as the other."""
    rates: dict[int, list[float]] = {port: [] for port in ports}
    for i in range(-1, ROUNDS):
        bodies = [framed(rpc, (i * GENERATORS + j) * STRIDE % POOLS, folder) for j in range(GENERATORS)]
        for port in ports if i % 2 else reversed(ports):
            rate = load(rpc, port, bodies)
            if i >= 0:  # the round before the first warms up
                rates[port].append(rate)
    return statistics.median(rates[ports[0]]), statistics.median(rates[ports[1]])


def framed(rpc: str, i: int, folder: Path) -> Path:
    """A file with the request for the i-th pool, as gRPC frames it."""
    key = pool(i)
    ref = pb.ScaledObjectRef(namespace=key.namespace, name=key.name, scalerMetadata=METADATA)
    request = pb.GetMetricsRequest(scaledObjectRef=ref, metricName=wire.METRIC) if rpc == "GetMetrics" else ref
    path = folder / f"{rpc}-{i}"
    path.write_bytes(frame(request))
    return path


def frame(message: Message) -> bytes:
    """Not compressed, its length, itself."""
    body = message.SerializeToString()
    return struct.pack(">BI", 0, len(body)) + body


def load(rpc: str, port: int, bodies: list[Path]) -> float:
    """Calls per second of all generators together."""
    url = f"http://127.0.0.1:{port}/{wire.SERVICE}/{rpc}"
    command = [
        "h2load",
        f"-n{REQUESTS}",
        "-c1",
        f"-m{STREAMS}",
        "-t1",
        "-Hcontent-type: application/grpc",
        "-Hte: trailers",
    ]
    started = [subprocess.Popen([*command, "-d", str(b), url], stdout=subprocess.PIPE, text=True) for b in bodies]
    return sum(rate(generator.communicate()[0], ANSWERS[rpc]) for generator in started)


def rate(told: str, answer: Message) -> float:
    """Calls per second from what h2load told, if every answer was as long as the right one: an error is empty."""
    rates, data = re.search(r"finished in .*, ([\d.]+) req/s", told), re.search(r"\((\d+)\) data", told)
    if rates is None or data is None or int(data[1]) != REQUESTS * len(frame(answer)):
        raise CannotMeasureError(f"not every call was answered as it should be; h2load says:\n{told}")
    return float(rates[1])
