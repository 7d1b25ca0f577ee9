"""Who keeps the pools: those of the file and those of triggers, while both change."""

from __future__ import annotations

import asyncio

import pytest

from scaler.config.check import checked
from scaler.config.pool import Found, PoolKey
from scaler.config.problems import ConfigError
from tests.cli.world import CODER, FILE, WRITER, World
from tests.config.material import said


@pytest.fixture
async def world() -> World:
    """At the start."""
    return World()


async def test_the_files_pools_are_there_from_the_start(world: World) -> None:
    """KEDA need not ask for a pool before it is evaluated."""
    assert world.bounds(CODER) == (2, 9)
    assert world.bounds(WRITER) is None


async def test_a_trigger_brings_its_pool_and_takes_it_away(world: World) -> None:
    """With the class of the file; the same again changes nothing; silence for long ends it."""
    brought = world.keeper.admit(WRITER, said({"class": "coding", "max": "4"}))
    assert world.bounds(WRITER) == (0, 4)
    assert world.keeper.admit(WRITER, said({"class": "coding", "max": "4"})) is brought
    world.keeper.dismiss(WRITER)
    assert world.bounds(WRITER) is None


async def test_a_pool_of_the_file_outlives_its_trigger(world: World) -> None:
    """Without the trigger the file alone holds again, and what was learnt stays."""
    world.keeper.admit(CODER, said({"max": "4"}))
    assert world.bounds(CODER) == (2, 4)
    pool = world.registry.get(CODER)
    world.keeper.dismiss(CODER)
    assert world.bounds(CODER) == (2, 9)
    assert world.registry.get(CODER) is pool


async def test_a_trigger_that_contradicts_the_file_leaves_the_pool_as_it_was(world: World) -> None:
    """The error goes to who asked; whoever wrote sense before keeps it."""
    world.keeper.admit(CODER, said({"max": "4"}))
    with pytest.raises(ConfigError, match="must be at least min, which is 2"):
        world.keeper.admit(CODER, said({"max": "1"}))
    assert world.bounds(CODER) == (2, 4)


async def test_new_settings_hold_for_pools_of_file_and_trigger(world: World) -> None:
    """What the trigger says still goes before what the file says now, and pools of neither are gone."""
    world.keeper.admit(WRITER, said({"class": "coding", "min": "1"}))
    await world.keeper.reload(checked(FILE.replace("max: 9", "max: 7")))
    assert (world.bounds(CODER), world.bounds(WRITER)) == ((2, 7), (1, 7))
    await world.keeper.reload(checked(FILE.replace("agents/coder", "agents/other")))
    assert world.bounds(CODER) is None
    assert world.bounds(PoolKey("agents", "other")) == (2, 9)


async def test_new_settings_that_contradict_a_trigger_leave_that_pool_alone(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """One tenant's trigger cannot keep the file from changing for the others."""
    world.keeper.admit(WRITER, said({"class": "coding", "min": "5"}))
    await world.keeper.reload(checked(FILE.replace("max: 9", "max: 4")))
    assert (world.bounds(CODER), world.bounds(WRITER)) == ((2, 4), (5, 9))
    (record,) = caplog.records
    assert record.message == "a pool keeps its former settings, for the new ones contradict its trigger"
    assert vars(record)["pool"] == "agents/writer"
    assert "must be at least min, which is 5" in vars(record)["why"]


async def test_a_trigger_that_comes_during_a_reload_is_not_lost(world: World) -> None:
    """New settings are worked out beside the event loop, which goes on answering; what it learns meanwhile counts."""
    world.keeper.admit(WRITER, said({"class": "coding", "max": "4"}))
    reloading = asyncio.create_task(world.keeper.reload(checked(FILE.replace("max: 9", "max: 7"))))
    await asyncio.sleep(0)  # the thread is at work
    latecomer = PoolKey("agents", "latecomer")
    world.keeper.admit(latecomer, said({"class": "coding"}))
    world.keeper.admit(CODER, said({"min": "3"}))
    world.keeper.dismiss(WRITER)
    await reloading
    assert (world.bounds(CODER), world.bounds(latecomer), world.bounds(WRITER)) == ((3, 7), (0, 7), None)


FOUND = Found(least=1, most=6, workload=("deployments", "writer"))


async def test_a_pool_that_is_discovered_is_there_before_keda_asks(world: World) -> None:
    """With the bounds of its ScaledObject, or its trigger's lower one; what KEDA says later goes before either."""
    world.keeper.discover(WRITER, said({"class": "coding", "max": "4"}), FOUND)
    assert world.bounds(WRITER) == (1, 4)
    world.keeper.admit(WRITER, said({"class": "coding", "slotsPerPod": "3"}))
    assert world.bounds(WRITER) == (1, 6)
    spec = world.keeper.find(WRITER)
    assert spec is not None
    assert spec.policy.slots_per_pod == 3


async def test_a_pool_that_is_lost_goes_unless_the_file_has_it(world: World) -> None:
    """Its ScaledObject is gone, and so is what KEDA said of it."""
    for key in (WRITER, CODER):
        world.keeper.discover(key, said({"class": "coding"}), FOUND)
        assert world.bounds(key) == (1, 6)
        world.keeper.lose(key)
    assert world.bounds(WRITER) is None
    assert world.bounds(CODER) == (2, 9)


async def test_keda_may_fall_silent_about_a_pool_that_is_still_there(world: World) -> None:
    """Its ScaledObject is paused, for instance: the pool stays as it was discovered."""
    world.keeper.discover(WRITER, said({"class": "coding"}), FOUND)
    world.keeper.admit(WRITER, said({"class": "coding", "slotsPerPod": "3"}))
    world.keeper.dismiss(WRITER)
    assert world.bounds(WRITER) == (1, 6)


async def test_what_was_discovered_outlives_a_new_file(world: World) -> None:
    """The file changes under it like under any other pool."""
    world.keeper.discover(WRITER, said({"class": "coding"}), FOUND)
    await world.keeper.reload(checked(FILE))
    assert world.bounds(WRITER) == (1, 6)
