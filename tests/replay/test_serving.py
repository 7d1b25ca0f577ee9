"""``scaler serve`` with a memory and a journal: written as it runs, whole when it ends, and used by the next one."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from scaler.live.store import Directory
from tests.cli.conftest import Scaler, scaler
from tests.cli.serving import CONFIG, serving, start
from tests.support.agent import Agent, agent_at
from tests.support.configmap import Mounted
from tests.support.journals import KEY, read, replayed
from tests.support.wait import eventually

__all__ = ["scaler"]  # the fixture


@pytest.fixture
async def config(tmp_path: Path) -> AsyncIterator[Path]:
    """A file with one pool, whose one pod is a busy agent."""
    agent = Agent("coder-0")
    agent.inflight = 2
    async with agent_at(agent) as url:
        file = tmp_path / "pools.yaml"
        file.write_text(CONFIG.format(most=5, url=url))
        yield file


async def test_memory_and_journal_are_whole_after_sigterm_and_the_next_process_goes_on(
    scaler: Scaler, config: Path, tmp_path: Path
) -> None:
    """Both are there when the exit code is, both are counted, and the journal of two processes replays as one."""
    memory, journal = tmp_path / "memory", tmp_path / "journal"
    kept = []
    for life in (1, 2):
        async with serving(config, "--memory", memory, "--journal", journal) as served:
            await served.ready()

            async def written() -> float | None:
                """The journal is on the disk."""
                return await served.metric('agent_scaler_writes_total{what="journal"}') or None

            await eventually(written)
            served.process.send_signal(signal.SIGTERM)
            assert await served.ended() == 0
        told = await asyncio.to_thread(scaler, "replay", journal, "--json")
        assert (json.loads(told.stdout)["same"], told.exit_code) == (True, 0)
        entries, flaws = read(journal)
        assert (sum(entry.resumes for entry in entries), flaws.cut) == (life, 0)
        directory = Directory(memory)
        kept.append(directory.load()[KEY])
        directory.close()
    assert replayed(journal).ticks == len(entries)
    assert json.loads(kept[1])["faded"] > json.loads(kept[0])["faded"] - 1


async def test_a_policy_reloaded_in_the_middle_is_decided_with_again(scaler: Scaler, tmp_path: Path) -> None:
    """A queue that is busy throughout, under a maximum of 5 and then of 3: each tick is replayed under its own."""
    agent, journal = Agent("coder-0"), tmp_path / "journal"
    agent.inflight = 2
    async with agent_at(agent) as url:
        mounted = Mounted(tmp_path, CONFIG.format(most=5, url=url))
        async with serving(mounted.file, "--journal", journal) as served:
            await served.ready()
            mounted.swap(CONFIG.format(most=3, url=url))

            async def reloaded() -> bool | None:
                """A tick under the new policy is on the disk."""
                return {entry.policy.max_replicas for entry in read(journal)[0]} == {5, 3} or None

            await eventually(reloaded)
            served.process.send_signal(signal.SIGTERM)
            assert await served.ended() == 0
    told = await asyncio.to_thread(scaler, "replay", journal)
    assert told.exit_code == 0
    assert told.stdout.endswith(": every outcome is the same\n")


@pytest.mark.parametrize("option", ["--memory", "--journal"])
async def test_a_folder_that_cannot_be_used_is_told(config: Path, tmp_path: Path, option: str) -> None:
    """A file in its place; and a folder that another process has."""
    file = tmp_path / "file"
    file.touch()
    process = await start(config, option, file)
    _, told = await process.communicate()
    assert process.returncode == 1
    assert told.decode() == (
        f"{option} {file} cannot be used: File exists; name a directory of its own that can be written\n"
    )
    async with serving(config, option, tmp_path / "folder"):
        other = await start(config, option, tmp_path / "folder")
        _, told = await other.communicate()
    assert other.returncode == 1
    assert "cannot be used: another process writes there" in told.decode()
