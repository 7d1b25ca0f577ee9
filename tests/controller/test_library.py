"""What the pools have learnt in ConfigMaps: what one process wrote, another remembers."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from aiohttp import web

from scaler.config.pool import PoolKey
from scaler.controller.api import open_api
from scaler.controller.library import Library
from scaler.controller.pen import Pen
from scaler.controller.shelves import keep_pools, keep_warm
from scaler.core.memory import Memory
from scaler.core.startup import learn
from scaler.core.warmpool_memory import WarmMemory
from scaler.core.warmpool_types import WarmPolicy
from scaler.live.board import Board
from scaler.live.charge import Charge
from scaler.live.clock import VirtualClock
from scaler.live.lasting_warm import VERSION
from scaler.live.office import ALONE, Office
from scaler.live.registry import Registry
from scaler.live.store import REMEMBERED
from tests.controller.objects import Object
from tests.support.api_server import TOKEN, kubeconfig_for
from tests.support.http import serving
from tests.support.office import Chair
from tests.support.pools import NOON
from tests.web.conftest import spec

PATH = "/api/v1/namespaces/home/configmaps"
PACE = WarmPolicy().pace


class Shelf:
    """ConfigMaps that can be applied and listed."""

    def __init__(self) -> None:
        self.maps: dict[str, Object] = {}
        self.writes = 0
        self.refuses = False

    async def apply(self, request: web.Request) -> web.Response:
        """A server-side apply."""
        if self.refuses:
            return web.json_response({"message": "etcd is away"}, status=500)
        self.writes += 1
        self.maps[request.match_info["name"]] = json.loads(await request.read())
        return web.json_response({})

    async def list(self, _: web.Request) -> web.Response:
        """All of them."""
        if self.refuses:
            return web.json_response({"message": "etcd is away"}, status=500)
        return web.json_response({"items": list(self.maps.values())})


@asynccontextmanager
async def library(folder: Path, shelf: Shelf, charge: Charge) -> AsyncIterator[Library]:
    """A library of that shelf."""
    app = web.Application()
    app.router.add_get(PATH, shelf.list)
    app.router.add_patch(PATH + "/{name}", shelf.apply)
    async with serving(app) as url:
        folder.joinpath("kubeconfig").write_text(kubeconfig_for(url, TOKEN))
        async with open_api(folder / "kubeconfig") as api:
            made = Library(api, Pen(api, charge.office, charge.deeds), charge, "home")
            await made.load()
            keep_pools(made, charge.registry, NOON)
            yield made


def charge(*names: str, office: Office = ALONE) -> Charge:
    """A process with these pools."""
    made = Charge(Registry(), Board(), office, VirtualClock(NOON))
    for name in names:
        made.registry.put(spec(name), NOON)
    return made


def memory(made: Charge, name: str) -> Memory:
    """What a pool remembers."""
    pool = made.registry.get(PoolKey("agents", name))
    assert pool is not None
    return pool.memory


def teach(made: Charge, name: str, startup: float) -> None:
    """Let a pool learn that its pods start in so many seconds."""
    pool = made.registry.get(PoolKey("agents", name))
    assert pool is not None
    lessons = pool.memory.lessons
    startups = learn(lessons.startups, np.full(20, startup), pool.spec.policy.pace)
    pool.memory = replace(pool.memory, lessons=replace(lessons, startups=startups))


async def test_what_one_process_wrote_another_remembers(tmp_path: Path) -> None:
    """Pools that are there when it starts, and pools that come later."""
    shelf, first, second = Shelf(), charge("coder", "review"), charge("coder")
    teach(first, "coder", 7.0)
    teach(first, "review", 9.0)
    async with library(tmp_path, shelf, first) as writes:
        await writes.save(NOON)
    async with library(tmp_path, shelf, second):
        second.registry.put(spec("review"), NOON)
        second.registry.put(spec("stranger"), NOON)
    assert memory(second, "coder").lessons.startups.p90 == pytest.approx(7.0)
    assert memory(second, "review").lessons.startups.p90 == pytest.approx(9.0)
    assert memory(second, "stranger").lessons.startups.p90 == memory(charge("fresh"), "fresh").lessons.startups.p90


async def test_what_did_not_change_is_not_written_again(tmp_path: Path) -> None:
    """And of thousands of pools only the shards in which one has."""
    shelf, made = Shelf(), charge("coder")
    async with library(tmp_path, shelf, made) as writes:
        await writes.save(NOON)
        await writes.save(NOON)
        assert shelf.writes == 1
        teach(made, "coder", 7.0)
        await writes.save(NOON)
    assert shelf.writes == 2
    assert len(shelf.maps) == 1


async def test_what_is_known_of_absent_pools_is_kept_for_a_week(tmp_path: Path) -> None:
    """A pool that was dropped by mistake comes back as what it was."""
    shelf, first = Shelf(), charge("coder")
    teach(first, "coder", 7.0)
    async with library(tmp_path, shelf, first) as writes:
        await writes.save(NOON)
    other = charge("other")
    async with library(tmp_path, shelf, other) as writes:
        await writes.save(NOON + REMEMBERED / 2)
        assert "agents_coder" in told(shelf)
        await writes.save(NOON + REMEMBERED * 2)
        assert "agents_coder" not in told(shelf)


def told(shelf: Shelf) -> str:
    """All that stands on the shelf."""
    return json.dumps(shelf.maps)


async def test_who_stands_by_writes_nothing(tmp_path: Path) -> None:
    """Two that write would undo each other's."""
    shelf, made = Shelf(), charge("coder", office=Chair())
    async with library(tmp_path, shelf, made) as writes:
        await writes.save(NOON)
    assert shelf.writes == 0


async def test_damage_costs_what_was_damaged(tmp_path: Path) -> None:
    """A pool whose text cannot be read learns anew, and the others remember."""
    shelf, first = Shelf(), charge("coder", "review")
    for name in ("coder", "review"):
        teach(first, name, 7.0)
    async with library(tmp_path, shelf, first) as writes:
        await writes.save(NOON)
    for each in shelf.maps.values():
        if "agents_coder" in each["data"]:
            each["data"]["agents_coder"] = '{"at": '
    second = charge("coder", "review")
    async with library(tmp_path, shelf, second):
        pass
    assert memory(second, "review").lessons.startups.p90 == pytest.approx(7.0)
    assert memory(second, "coder").lessons.startups.p90 != pytest.approx(7.0)


async def test_without_an_answer_pools_begin_all_the_same(tmp_path: Path) -> None:
    """Neither reading nor writing fails the process."""
    shelf, made = Shelf(), charge("coder")
    shelf.refuses = True
    async with library(tmp_path, shelf, made) as writes:
        await writes.save(NOON)
    assert shelf.maps == {}


WARM = PoolKey("agents", "python")


def warm(lead: float) -> WarmMemory:
    """What a warm pool remembers whose sandboxes take so many seconds."""
    fresh = WarmMemory.fresh(NOON, PACE)
    return replace(fresh, leads=replace(fresh.leads, mean=lead, count=40))


async def test_warm_pools_are_kept_beside_the_others(tmp_path: Path) -> None:
    """A pool of pods and a warm one may have the same name, and each remembers its own."""
    shelf, first, second = Shelf(), charge("python"), charge("python")
    teach(first, "python", 7.0)
    async with library(tmp_path, shelf, first) as writes:
        recall = keep_warm(writes, lambda: {WARM: warm(3.0)})
        assert recall(WARM, PACE, NOON) is None
        await writes.save(NOON)
    async with library(tmp_path, shelf, second) as reads:
        found = keep_warm(reads, dict)(WARM, PACE, NOON)
    assert found is not None
    assert (found.leads.mean, found.leads.count) == (3.0, 40)
    assert memory(second, "python").lessons.startups.p90 == pytest.approx(7.0)


def changed(shelf: Shelf, name: str, text: str) -> None:
    """Somebody has written this in the place of a pool's text."""
    for each in shelf.maps.values():
        if name in each["data"]:
            each["data"][name] = text


async def test_what_cannot_be_read_is_set_aside_and_the_pool_learns_anew(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """For as long as there is something of its pool; a long one is cut off."""
    shelf, made = Shelf(), charge()
    async with library(tmp_path, shelf, made) as writes:
        keep_warm(writes, lambda: {WARM: warm(3.0)})
        await writes.save(NOON)
    changed(shelf, "agents_python_warm", '{"at": ' + "9" * 5_000)
    async with library(tmp_path, shelf, made) as writes:
        assert keep_warm(writes, lambda: {WARM: warm(5.0)})(WARM, PACE, NOON) is None
        await writes.save(NOON)
        texts = {name: text for each in shelf.maps.values() for name, text in each["data"].items()}
        assert texts["agents_python_warm_damaged"] == ('{"at": ' + "9" * 5_000)[:2_048]
        assert json.loads(texts["agents_python_warm"])["mean"] == 5.0
    assert "was set aside, and it learns anew" in capsys.readouterr().out
    async with library(tmp_path, shelf, made) as writes:
        await writes.save(NOON + 2 * REMEMBERED)
        assert "damaged" not in told(shelf)


async def test_what_a_newer_scaler_wrote_is_left_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A scaler that was rolled back neither believes it nor destroys it, and says what follows."""
    shelf, made = Shelf(), charge()
    async with library(tmp_path, shelf, made) as writes:
        keep_warm(writes, lambda: {WARM: warm(3.0)})
        await writes.save(NOON)
    newer = json.dumps({"v": VERSION + 1, "at": NOON, "more": "than we know"})
    changed(shelf, "agents_python_warm", newer)
    async with library(tmp_path, shelf, made) as writes:
        assert keep_warm(writes, lambda: {WARM: warm(5.0)})(WARM, PACE, NOON) is None
        await writes.save(NOON + 2 * REMEMBERED)
    assert [each["data"]["agents_python_warm"] for each in shelf.maps.values()] == [newer]
    assert "is left as it is, and what it learns now is not kept" in capsys.readouterr().out
