"""Asking for A2A tasks of which nobody has heard: one question at a time, and never more than ten a second."""

from __future__ import annotations

import asyncio
from typing import Final

import aiohttp

from scaler.agent.sidecar import a2a
from scaler.agent.sidecar.proxy import Settings
from scaler.agent.sidecar.tracker import Tracker, Where

PAUSE: Final = 0.1  # seconds between two questions
PATIENCE: Final = aiohttp.ClientTimeout(total=10.0)


async def ask_for_open_tasks(tracker: Tracker, settings: Settings, session: aiohttp.ClientSession) -> None:
    """Ask, again and again, until cancelled. What cannot be asked stays open. Idle moments are written down."""
    while True:
        for name, where in tracker.overdue(settings.every):
            since = tracker.steady()
            body = await _answer(session, settings, name, where)
            await tracker.told(name, a2a.sightings(body), gone=a2a.is_gone(body), since=since)
            await asyncio.sleep(PAUSE)
        await tracker.rest()
        if settings.longest is not None:
            await tracker.forget_unknown(settings.longest)
        await asyncio.sleep(min(1.0, settings.every))


async def _answer(session: aiohttp.ClientSession, settings: Settings, name: str, where: Where) -> bytes:
    """What the agent says of a task; nothing where it says nothing."""
    headers = {"Content-Type": "application/json", "Accept": "application/json", "Accept-Encoding": "identity"}
    headers |= {"A2A-Version": where.version} if where.version else {}
    data = a2a.question(where.method, name)
    try:
        if settings.token_file is not None:
            headers["Authorization"] = f"Bearer {settings.token_file.read_text().strip()}"
        async with session.post(settings.upstream + where.path, data=data, headers=headers, timeout=PATIENCE) as answer:
            return await answer.read()
    except (aiohttp.ClientError, OSError, ValueError):
        return b""
