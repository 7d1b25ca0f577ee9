"""The file that is followed, as it is swapped, rewritten, broken and mended."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from scaler.cli.follower import LOOK, Follower, Watched
from scaler.web.running import Reloads
from tests.cli.world import CODER, FILE, NOON, World
from tests.support.configmap import Mounted
from tests.support.wait import eventually

OTHER = FILE.replace("max: 9", "max: 7")
BAD = "pools: {agents/coder: {maxx: 3, mun: 2}}"


@dataclass
class Followed:
    """A world whose file is followed."""

    world: World
    mounted: Mounted
    reloads: Reloads

    async def looked(self, seen: Callable[[], bool]) -> None:
        """Let the follower look at the file until it has seen what it should."""

        async def probe() -> bool | None:
            """The follower has seen it."""
            await self.world.clock.advance_to(self.world.clock.now() + LOOK)
            return True if seen() else None

        await eventually(probe)

    async def most(self, replicas: int) -> None:
        """Return when the pool may have so many replicas."""
        await self.looked(lambda: self.world.bounds(CODER) == (2, replicas))


@pytest.fixture
async def followed(tmp_path: Path) -> AsyncIterator[Followed]:
    """A mounted ConfigMap with the world's file."""
    world, mounted, reloads = World(), Mounted(tmp_path, FILE), Reloads(NOON)
    following = asyncio.create_task(Follower(mounted.file, FILE, reloads).follow(world.keeper, world.clock))
    yield Followed(world, mounted, reloads)
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)


async def test_a_swapped_configmap_holds_and_pools_keep_what_they_have_learnt(followed: Followed) -> None:
    """Kubernetes swaps one symbolic link; the pool is the same one, with its memory."""
    pool = followed.world.registry.get(CODER)
    followed.mounted.swap(OTHER)
    await followed.most(7)
    assert followed.world.registry.get(CODER) is pool
    assert (followed.reloads.good, followed.reloads.bad, followed.reloads.holds) == (1, 0, True)
    assert NOON < followed.reloads.last_good <= followed.world.clock.now()


async def test_a_file_that_cannot_be_used_is_told_once_and_changes_nothing(followed: Followed) -> None:
    """However often it is looked at, each problem is one line of the log, and pools go on as they were."""
    with capture_logs() as log:
        followed.mounted.swap(BAD)
        await followed.looked(lambda: len(log) >= 2)
        await asyncio.to_thread(followed.mounted.vanish)
        await followed.looked(lambda: len(log) >= 3)
        assert followed.world.bounds(CODER) == (2, 9)
        assert (followed.reloads.bad, followed.reloads.holds, followed.reloads.last_good) == (2, False, NOON)
        followed.mounted.swap(OTHER)
        await followed.most(7)
    assert [line["event"] for line in log] == [
        *["the configuration cannot be used and stays as it was"] * 2,
        "the configuration cannot be read and stays as it was",
        "the configuration has changed",
    ]
    assert 'maxx = 3: unknown key; did you mean "max"?' in log[0]["why"]
    assert followed.reloads.holds


async def test_what_comes_back_after_a_bad_file_is_in_force_again(followed: Followed) -> None:
    """Though it is the text that was in force all along, the metric must not stay red."""
    followed.mounted.swap(BAD)
    await followed.looked(lambda: not followed.reloads.holds)
    followed.mounted.swap(FILE)
    await followed.looked(lambda: followed.reloads.holds)
    assert followed.world.bounds(CODER) == (2, 9)


async def test_a_file_that_vanishes_for_a_while_is_in_force_again_when_it_is_back(followed: Followed) -> None:
    """The very same file, so that nothing about it tells that it was away."""
    await followed.looked(lambda: True)
    followed.mounted.vanish()
    await followed.looked(lambda: not followed.reloads.holds)
    followed.mounted.appear()
    await followed.looked(lambda: followed.reloads.holds)
    assert followed.world.bounds(CODER) == (2, 9)


def test_a_file_that_is_being_written_is_not_taken_before_it_stands_still(tmp_path: Path) -> None:
    """The first half of a file is a file, and one with fewer pools. What a link points to anew is whole."""
    mounted = Mounted(tmp_path, FILE)
    watched = Watched(mounted.file)
    assert [watched.changed(), watched.changed(), watched.changed()] == [None, FILE, None]
    for half in (FILE[:100], FILE[:150], FILE[:200]):
        mounted.write(half)
        assert watched.changed() is None
    mounted.write(OTHER)
    assert [watched.changed(), watched.changed(), watched.changed()] == [None, OTHER, None]
    mounted.swap(FILE)
    assert [watched.changed(), watched.changed()] == [FILE, None]


def test_a_file_that_was_away_is_read_again(tmp_path: Path) -> None:
    """Nothing about it tells that it was away, and yet whoever follows must know that it is back."""
    mounted = Mounted(tmp_path, FILE)
    watched = Watched(mounted.file)
    watched.changed()
    watched.changed()
    mounted.vanish()
    with pytest.raises(FileNotFoundError):
        watched.changed()
    mounted.appear()
    assert watched.changed() == FILE


@pytest.mark.parametrize("put", [os.mkfifo, os.mkdir])
async def test_what_is_no_file_holds_nobody_up(followed: Followed, put: Callable[[Path], None]) -> None:
    """Who opens a pipe waits for a writer for ever; this one is told, and the file after it is taken."""
    with capture_logs() as log:
        place = await asyncio.to_thread(followed.mounted.file.resolve)
        await asyncio.to_thread(place.unlink)
        await asyncio.to_thread(put, place)
        await followed.looked(lambda: not followed.reloads.holds)
        followed.mounted.swap(OTHER)
        await followed.most(7)
    assert log[0]["event"] == "the configuration cannot be read and stays as it was"


@pytest.mark.parametrize("blank", ["", " \n\n"])
async def test_a_file_that_was_cut_to_nothing_takes_no_pool_away(followed: Followed, blank: str) -> None:
    """Nobody writes an empty file on purpose; who wants no pools says so."""
    with capture_logs() as log:
        followed.mounted.write(blank)
        await followed.looked(lambda: not followed.reloads.holds)
    assert log[0]["why"] == "the file: must not be empty; write {} into it if it is to have no pools"
    assert followed.world.bounds(CODER) == (2, 9)
    followed.mounted.write("{}")
    await followed.looked(lambda: followed.world.bounds(CODER) is None)


async def test_a_file_of_many_mistakes_is_told_in_a_few_lines(followed: Followed) -> None:
    """The log says how many there are; ``scaler config check`` has them all."""
    with capture_logs() as log:
        followed.mounted.swap("\n".join(f"wrong{i}: 1" for i in range(500)))
        await followed.looked(lambda: len(log) > 0)
    assert (len(log), {line["problems"] for line in log}) == (10, {500})
