"""What ``scaler demo`` does: the running scaler on hours of agents' work, and a plain HPA on the same."""

from __future__ import annotations

import asyncio
import math
from contextlib import aclosing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from rich.text import Text

from scaler.cli.demo_view import Show, comparison, reading, viewing
from scaler.cli.disk import Disk, Folders
from scaler.cli.lockstep import LockstepError, play
from scaler.cli.output import fail, interruptible, refuse
from scaler.cli.simulate_files import check_file, reader, write
from scaler.core.types import Instant
from scaler.live.clock import SystemClock
from scaler.sim.peers.catalogue import PEERS
from scaler.sim.peers.sight import Pool
from scaler.sim.pool import Setting
from scaler.sim.run import Peer
from scaler.sim.score import score
from scaler.sim.workload import Workload, generate
from scaler.sim.world import World

START: Final[Instant] = 1_767_600_000.0  # a Monday, 2026-01-05 08:00 UTC
SHORTEST: Final = 60
LONGEST: Final = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What was asked for.

    Attributes:
        json: where the figures go, if anywhere.
        table: whether moments are shown; otherwise there is progress alone.
        speed: virtual seconds per second; None is as fast as it goes.
        journal: where every decision is written down, if anywhere.
    """

    seed: int
    seconds: int
    json: Path | None
    table: bool
    speed: float | None
    journal: Path | None


def run(wish: Wish) -> None:
    """Show the demo, and write its figures."""
    _check(wish)
    console = reader(wish.json)
    tasks = generate(Workload(), start=START, seconds=wish.seconds, seed=wish.seed)
    world = World(Setting(guarded=True), tasks, start=START, seed=wish.seed)
    try:
        with interruptible(_left(wish)), viewing(console, wish.seconds, table=wish.table) as show:
            asyncio.run(_run(world, wish, show))
    except LockstepError as error:
        fail(f"the demo did not hold: {error}")
    peer = World(Setting(guarded=False), tasks, start=START, seed=wish.seed)
    Peer(peer, PEERS["hpa"], Pool()).run(START + wish.seconds)
    ours, hpa = score(world), score(peer)
    try:
        write(wish.json, {"ours": asdict(ours), "hpa": asdict(hpa)})
    finally:
        console.print(comparison(ours, hpa))
        console.print(Text(reading(ours, hpa)))


def _left(wish: Wish) -> str:
    """What there is of a demo that did not come to its end."""
    kept = "" if wish.journal is None else f"; the ticks until then are in {wish.journal}"
    return f"there are no figures of half a demo{kept}"


async def _run(world: World, wish: Wish, show: Show) -> None:
    """Run the world under the scaler, no faster than was asked for."""
    wall, journal = SystemClock(), Disk(Folders(journal=wish.journal)).journal
    began = wall.now()
    try:
        async with aclosing(play(world, START + wish.seconds, journal)) as moments:
            async for moment in moments:
                if wish.speed is not None:
                    await wall.sleep_until(began + moment.elapsed / wish.speed)
                show(moment)
    finally:
        if journal is not None:
            journal.close()


def _check(wish: Wish) -> None:
    """Refuse what cannot be run, before anything runs."""
    if wish.seed < 0:
        refuse(f"--seed {wish.seed} is out of range: any whole number from 0 on; the same one gives the same figures")
    if not SHORTEST <= wish.seconds <= LONGEST:
        allowed = f"from {SHORTEST} to {LONGEST}"
        refuse(f"--seconds {wish.seconds} is out of range: {allowed}; 7200 is enough to see pods come and go")
    if wish.speed is not None and not (math.isfinite(wish.speed) and wish.speed > 0):
        refuse(f"--speed {wish.speed:g} is out of range: above 0; leave it out to go as fast as possible")
    check_file("--json", wish.json)
