"""What a sidecar writes when its disk fails, its client leaves in the middle of a write, or it is made to go."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import signal
import stat
import threading
from typing import Any

import pytest

from scaler.agent.conformance.subject import Subject, until
from scaler.agent.sidecar.a2a import Sighting
from scaler.agent.sidecar.tracker import Tracker, Where
from tests.agent.material import Site
from tests.agent.running import CLOCK, ask, sidecar

WHERE = Where("/a2a", "tasks/get")


def written(site: Site) -> dict[str, Any]:
    """What the next process would read."""
    said: dict[str, Any] = json.loads((site.place.folder / "tasks.json").read_text())
    return said


async def test_what_may_be_on_disk_is_not_taken_for_what_was(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The note that nothing runs was written, though its folder was not synced: the next request writes again."""
    gate = site.gate()
    tracker, sync = Tracker(gate), os.fsync

    def fails_for_folders(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(5, "Input/output error")
        sync(handle)

    async with tracker.request():
        assert written(site)["busy"] is True
    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", fails_for_folders)
        await tracker.rest()
    assert written(site)["busy"] is False
    async with tracker.request():
        assert written(site)["busy"] is True


async def test_who_leaves_in_the_middle_of_a_write_does_not_undo_the_next(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client hangs up while the end of its task is written, and another's begins: that one stands."""
    gate, slow, go, late = site.gate(slots=4), threading.Event(), threading.Event(), threading.Event()
    tracker, write = Tracker(gate), gate.folder.write

    def waits(name: str, said: dict[str, Any]) -> None:
        if slow.is_set():
            write(name, said)
        else:
            slow.set()
            go.wait(30)
            write(name, said)
            late.set()

    with gate.task() as request:
        await tracker.see([Sighting("a", open=True)], WHERE, request)
        monkeypatch.setattr(gate.folder, "write", waits)
        ending = asyncio.create_task(tracker.see([Sighting("a", open=False)], WHERE, None))
        await asyncio.to_thread(slow.wait)
        ending.cancel()
        await asyncio.wait([ending])
        beginning = asyncio.create_task(tracker.see([Sighting("b", open=True)], WHERE, request))
        await asyncio.wait([beginning], timeout=0.5)
        go.set()
        await beginning
        await asyncio.to_thread(late.wait)
        assert set(written(site)["tasks"]) == {"b"}
    assert gate.activity().inflight == 1


@pytest.mark.parametrize("path", ["/work/e", "/events/e"])
def test_a_sidecar_that_is_made_to_go_leaves_word_of_what_runs(site: Site, path: str) -> None:
    """A second SIGTERM does not wait; the agent works on, and the next sidecar may not call a drained pod idle."""
    with sidecar(site) as program:
        asking = threading.Thread(target=cut_off, args=(program.worked, path))
        asking.start()
        gate = Subject(program.url, site.signer.sign, CLOCK.now)
        until(lambda: gate.activity()["inflight"] == 1, "the work is in flight", now=CLOCK.now)
        assert program.process is not None
        program.process.send_signal(signal.SIGTERM)
        until(lambda: not gate.activity()["accepting"], "it has heard", now=CLOCK.now)
        assert gate.order("drain", 1).said["state"] == "busy"
        program.process.send_signal(signal.SIGTERM)
        program.process.wait(60)
        program.start()
        said = gate.activity()
        assert (said["inflight"], said.get("acked")) == (1, None)
        ask(program.ways, "POST", "/go/e")
        asking.join(60)


def cut_off(url: str, path: str) -> None:
    """Ask, and hear nothing."""
    with contextlib.suppress(OSError, http.client.HTTPException):
        ask(url, "GET", path)
