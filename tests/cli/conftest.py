"""The command line as a user has it, and what ``scaler serve`` is given to serve."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TypeAlias

import pytest
from typer.testing import CliRunner, Result

from scaler.cli.app import app
from tests.cli.serving import CONFIG
from tests.cli.simulating import SCENARIO
from tests.support.agent import Agent, agent_at

Scaler: TypeAlias = Callable[..., Result]


@pytest.fixture
def scaler() -> Scaler:
    """Run ``scaler`` with these arguments."""

    def run(*arguments: str | Path, stdin: str | None = None) -> Result:
        return CliRunner().invoke(app, [str(argument) for argument in arguments], input=stdin)

    return run


@pytest.fixture
async def agent() -> AsyncIterator[tuple[Agent, str]]:
    """A busy agent, and where it is asked."""
    agent = Agent("coder-0")
    agent.inflight = 2
    async with agent_at(agent) as url:
        yield agent, url


@pytest.fixture
def config(tmp_path: Path, agent: tuple[Agent, str]) -> Path:
    """A file with one pool, whose one pod is the agent."""
    file = tmp_path / "pools.yaml"
    file.write_text(CONFIG.format(most=5, url=agent[1]))
    return file


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    """A file with a small question."""
    file = tmp_path / "small.yaml"
    file.write_text(SCENARIO)
    return file
