"""The gate: what begins, what holds it, and what its orders do."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Generator

import pytest

from scaler.agent.book import NO_EPOCH, GateClosedError
from scaler.agent.durable import TakenError
from scaler.agent.gate import Done, Gate, NotKept, Stale
from scaler.agent.place import Place, PlaceError
from tests.agent.material import UID, Site

FORKED = """
import os, sys
from pathlib import Path
from scaler.agent import Gate, Place
from scaler.agent.book import ForkedError

gate = Gate(Place("a", Path(sys.argv[1])))
child = os.fork()
if child == 0:
    try:
        gate.task().begin()
    except ForkedError:
        os._exit(7)
    os._exit(0)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def phase(gate: Gate) -> tuple[str, int]:
    """The phase and the epoch that the gate tells."""
    seen = gate.activity()
    return seen.phase, seen.epoch


def test_a_new_gate_is_open_and_idle(site: Site) -> None:
    """The first process of a pod finds nothing, and nobody has ordered anything."""
    seen = site.gate().activity()
    assert (seen.accepting, seen.phase, seen.epoch, seen.acked) == (True, "active", 0, False)
    assert (seen.inflight, seen.idle_since) == (0, site.clock.now())


async def test_a_task_is_in_flight_while_it_runs(site: Site) -> None:
    """With ``with`` and with ``async with``, one inside another, and however it ends."""
    gate = site.gate(slots=3)
    with gate.task():
        async with gate.task():
            assert gate.activity().inflight == 2
            assert gate.activity().idle_since is None
        with contextlib.suppress(ZeroDivisionError), gate.task():
            assert 1 / 0
        assert gate.activity().inflight == 1
    site.clock.at += 5
    assert gate.activity().idle_since == site.clock.now() - 5


def test_a_closed_gate_refuses_and_lets_finish(site: Site) -> None:
    """The drain closes at once, is acknowledged when the last task has ended, and by nothing else."""
    gate = site.gate()
    task = gate.task().begin()
    assert isinstance(gate.drain(1), Done)
    assert phase(gate) == ("draining", 1)
    with pytest.raises(GateClosedError), gate.task():
        pass
    assert not gate.activity().acked
    task.end()
    assert phase(gate) == ("drained", 1)


def test_what_a_task_begins_may_outlive_it(site: Site) -> None:
    """Background work of a task that runs belongs to what was let in, and holds the gate in its turn."""
    gate = site.gate()
    task = gate.task().begin()
    gate.drain(1)
    behind = task.another().begin()
    task.end()
    assert phase(gate) == ("draining", 1)
    behind.end()
    assert phase(gate) == ("drained", 1)
    with pytest.raises(GateClosedError):
        task.another().begin()


def test_a_claim_holds_the_gate_while_a_consumer_fetches(site: Site) -> None:
    """It is no task, so an idle consumer is idle; but what it may have fetched is waited for."""
    gate = site.gate()
    with gate.claim() as claim:
        assert gate.activity().inflight == 0
        gate.drain(1)
        assert (gate.activity().inflight, gate.activity().acked) == (1, False)
        fetched = claim.task().begin()
    assert phase(gate) == ("draining", 1)
    fetched.end()
    assert phase(gate) == ("drained", 1)
    with pytest.raises(GateClosedError), gate.claim():
        pass


def test_a_claim_counts_for_whoever_waits_for_a_process_that_leaves(site: Site) -> None:
    """A preStop hook that saw nothing in flight would let the container die with a message on its way."""
    gate = site.gate()
    with gate.claim() as claim:
        gate.leave()
        assert gate.activity().inflight == 1
        with claim.task():
            assert gate.activity().inflight == 2
    assert gate.activity().inflight == 0


async def test_a_generator_ends_its_task_wherever_it_is_closed(site: Site) -> None:
    """Frameworks run the steps of a stream in contexts of their own, and close it in another one."""
    gate = site.gate()

    def stream() -> Generator[str, None, None]:
        with gate.task():
            yield "first"
            yield "second"

    left = stream()
    await asyncio.to_thread(next, left)
    assert gate.activity().inflight == 1
    left.close()
    assert gate.activity().inflight == 0
    through = stream()
    for _ in range(2):
        await asyncio.to_thread(next, through)
    assert await asyncio.to_thread(next, through, None) is None
    assert gate.activity().inflight == 0


def test_a_session_holds_the_pod_for_its_time(site: Site) -> None:
    """Its next task runs here although the gate is closed, and its time begins anew when that ends."""
    gate = site.gate()
    session = gate.session(60).begin()
    gate.drain(1)
    site.clock.at += 59
    with session.task():
        site.clock.at += 1000
        seen = gate.activity()
        assert (seen.inflight, seen.sessions, seen.acked) == (1, 0, False)
    site.clock.at += 59
    assert (gate.activity().sessions, gate.activity().acked) == (1, False)
    assert session.renew()
    site.clock.at += 60
    assert phase(gate) == ("drained", 1)
    assert not session.renew()
    with pytest.raises(GateClosedError), session.task():
        pass


def test_a_session_that_is_over_stays_so_if_the_clock_goes_back(site: Site) -> None:
    """What was acknowledged is not taken back."""
    gate = site.gate()
    session = gate.session(60).begin()
    gate.drain(1)
    site.clock.at += 60
    assert gate.activity().acked
    site.clock.at -= 60
    assert gate.activity().acked
    with pytest.raises(GateClosedError), session.task():
        pass


def test_a_session_ends_when_it_says_so(site: Site) -> None:
    """No time is waited out for nobody; a time of nothing is none."""
    gate = site.gate()
    with gate.session(600):
        assert gate.activity().sessions == 1
    assert gate.activity().idle_since is not None
    with pytest.raises(ValueError, match="ttl is 0; it must be above 0 seconds"):
        gate.session(0)


def test_orders_follow_their_epochs(site: Site) -> None:
    """Repeating changes nothing, an older one changes nothing, and only a newer one turns the gate."""
    gate = site.gate()
    assert isinstance(gate.drain(0), Stale)
    assert isinstance(gate.drain(3), Done)
    assert isinstance(gate.drain(3), Done)
    assert (gate.drain(2), gate.resume(3), gate.resume(2)) == (Stale(3), Stale(3), Stale(3))
    assert phase(gate) == ("drained", 3)
    assert isinstance(gate.resume(4), Done)
    assert isinstance(gate.resume(4), Done)
    assert (gate.drain(3), gate.drain(4)) == (Stale(4), Stale(4))
    assert phase(gate) == ("active", 4)


def test_a_process_wakes_with_the_gate_it_had(site: Site) -> None:
    """Closed stays closed and open stays open, each with its epoch."""
    for act, epoch, told in (("drain", 1, "drained"), ("resume", 2, "active"), ("drain", 7, "drained")):
        gate = site.gate()
        (gate.drain if act == "drain" else gate.resume)(epoch)
        gate.close()
        woken = site.gate()
        assert phase(woken) == (told, epoch)
        woken.close()


@pytest.mark.parametrize(
    "left",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        b'{"version": 2, "uid": "%b", "open": true, "epoch": 1}' % UID.encode(),
        b'{"version": 1, "uid": "%b", "open": "yes", "epoch": 1}' % UID.encode(),
        b'{"version": 1, "uid": "%b", "open": true, "epoch": -1}' % UID.encode(),
        b'{"version": 1, "uid": "%b", "open": true, "epoch": true}' % UID.encode(),
        b'{"version": 1, "open": true, "epoch": 1}',
        b"[" * 4000,
    ],
    ids=["empty", "cut", "list", "bytes", "version", "word", "negative", "truth", "nobody", "deep"],
)
def test_a_state_that_cannot_be_read_is_a_closed_gate(site: Site, left: bytes) -> None:
    """It says so, and only a drain tells it where it stands: an order to resume may be older than the last drain."""
    site.gate().close()
    site.file.write_bytes(left)
    gate = site.gate()
    assert "gate.json" in gate.trouble
    assert (gate.activity().accepting, gate.activity().acked, gate.activity().known) == (False, False, False)
    assert gate.resume(9) == Stale(NO_EPOCH)
    with pytest.raises(GateClosedError), gate.task():
        pass
    assert isinstance(gate.drain(5), Done)
    assert (phase(gate), gate.trouble) == (("drained", 5), "")
    assert isinstance(gate.resume(6), Done)


def test_a_state_that_may_not_be_read_is_a_closed_gate(site: Site) -> None:
    """A folder in the file's place is no absent file."""
    site.gate().close()
    site.file.unlink()
    site.file.mkdir()
    assert not site.gate().activity().accepting


def test_what_another_pod_has_left_is_none_of_ours(site: Site) -> None:
    """A volume that went from pod to pod brings the former one's drain, and this pod has none."""
    first = site.gate()
    first.drain(4)
    first.close()
    site.gates.append(Gate(Place("the-next-pod", site.place.folder)))
    assert phase(site.gates[-1]) == ("active", 0)


def test_an_order_that_cannot_be_written_is_closed_but_not_acknowledged(site: Site) -> None:
    """The next one that can be written is acknowledged."""
    gate = site.gate()
    draft = site.file.with_name("gate.json.draft")
    draft.mkdir()
    assert isinstance(gate.drain(1), NotKept)
    assert (gate.activity().accepting, gate.activity().acked) == (False, False)
    assert json.loads(site.file.read_text())["open"] is True
    draft.rmdir()
    assert isinstance(gate.drain(1), Done)
    assert phase(gate) == ("drained", 1)
    draft.mkdir()
    assert isinstance(gate.resume(2), NotKept)
    assert phase(gate) == ("drained", 1)


def lowest_free_handle() -> int:
    """What the next file that is opened would get."""
    handle = os.dup(0)
    os.close(handle)
    return handle


def test_writing_leaves_no_file_open(site: Site) -> None:
    """A pod is drained and called back for as long as it lives."""
    gate = site.gate()
    before = lowest_free_handle()
    assert [isinstance(gate.drain(epoch), Done) for epoch in range(1, 9)] == [True] * 8
    assert lowest_free_handle() == before


def test_a_pod_has_one_gate(site: Site) -> None:
    """A second process would count for itself, and one of them would call the pod idle."""
    gate = site.gate()
    with pytest.raises(TakenError, match="another process has this gate, and a pod has one"):
        site.gate()
    gate.close()
    site.gate().close()


def test_a_gate_that_could_not_be_kept_may_be_tried_again(site: Site) -> None:
    """By the same process, once its folder can be written to."""
    draft = site.place.folder / "gate.json.draft"
    draft.mkdir(parents=True)
    with pytest.raises(IsADirectoryError):
        site.gate()
    draft.rmdir()
    assert site.gate().activity().accepting


def test_a_forked_process_does_not_count_for_itself(site: Site) -> None:
    """Its task would be seen by nobody."""
    ran = subprocess.run([sys.executable, "-c", FORKED, site.folder], check=False)
    assert ran.returncode == 7


def test_where_it_stands_must_be_told() -> None:
    """The message names the variable, and what belongs into it."""
    with pytest.raises(PlaceError, match="POD_UID is not set; it must be the downward"):
        Place.from_environment({})
    with pytest.raises(PlaceError, match="AGENT_SCALER_STATE is not set"):
        Place.from_environment({"POD_UID": "a"})
    with pytest.raises(PlaceError, match="POD_UID is 'a/b'; it must be 1 to 253 letters"):
        Place.from_environment({"POD_UID": "a/b", "AGENT_SCALER_STATE": "/s"})


def test_leaving_takes_nothing_more_and_is_forgotten(site: Site) -> None:
    """SIGTERM may be a restart of the container alone: the process after it goes on."""
    gate = site.gate()
    gate.must_go(30)
    with pytest.raises(GateClosedError), gate.task():
        pass
    assert phase(gate) == ("active", 0)
    gate.close()
    assert site.gate().activity().accepting


def test_whoever_wants_to_save_work_is_told_the_deadline(site: Site) -> None:
    """At each notice that leaves less time, and late comers at once."""
    gate, told = site.gate(), list[float]()
    gate.on_deadline(told.append)
    gate.must_go(120)
    gate.must_go(600)
    site.clock.at += 20
    gate.on_deadline(lambda left: told.append(-left))
    gate.must_go(30)
    assert told == [120, -100, 30, -30]


def test_a_callback_that_fails_stops_nothing(site: Site) -> None:
    """The others are called, the order is acknowledged, and the process goes on leaving."""
    gate, told = site.gate(), list[float]()

    def fail(_: float) -> None:
        raise ConnectionError("the broker is away")

    gate.on_turn(fail)
    gate.on_turn(told.append)
    gate.on_deadline(fail)
    gate.on_deadline(told.append)
    assert isinstance(gate.drain(1), Done)
    gate.must_go(30)
    assert told == [False, False, 30]


async def test_who_waits_for_the_end_is_woken_by_it(site: Site) -> None:
    """By the end of the last task, from another thread, and only once the gate is closed."""
    gate = site.gate()
    task = gate.task().begin()
    waiting, blocked = asyncio.create_task(gate.finished()), threading.Thread(target=gate.wait_finished)
    blocked.start()
    gate.must_go(30)
    await asyncio.sleep(0)
    assert not waiting.done()
    assert blocked.is_alive()
    await asyncio.to_thread(task.end)
    await waiting
    await asyncio.to_thread(blocked.join)


async def test_an_open_gate_is_no_end_and_who_waits_is_woken_by_leaving(site: Site) -> None:
    """Nothing is open, but something may begin; then the process leaves, and nothing will."""
    gate = site.gate()
    waiting = asyncio.create_task(gate.finished())
    await asyncio.sleep(0)
    assert not waiting.done()
    gate.leave()
    await asyncio.wait_for(waiting, 60)


def test_the_next_session_to_run_out_says_when(site: Site) -> None:
    """So that who waits for the end sleeps until then, and not for no time at all."""
    gate = site.gate()
    assert gate.book.next_expiry() is None
    gate.session(60).begin()
    gate.session(20).begin()
    site.clock.at += 5
    assert gate.book.next_expiry() == 15


async def test_a_session_that_is_cut_short_is_the_end_sooner(site: Site) -> None:
    """Who waits for it had gone to sleep for the time that it had before."""
    gate = Gate(site.place)
    site.gates.append(gate)
    session = gate.session(3600).begin()
    gate.must_go(30)
    waiting = asyncio.create_task(gate.finished())
    await asyncio.sleep(0)
    assert session.renew(0.05)
    await asyncio.wait_for(waiting, 60)


async def test_a_session_that_runs_out_is_the_end(site: Site) -> None:
    """Nobody has to say so, by the machine's own clock."""
    gate = Gate(site.place)
    site.gates.append(gate)
    gate.session(0.05).begin()
    gate.must_go(30)
    await gate.finished()
    assert gate.activity().idle_since is not None


def test_the_expected_end_is_told_if_every_task_has_said_one(site: Site) -> None:
    """One that has not makes it unknown."""
    gate = site.gate(slots=3)
    with gate.task(seconds=30), gate.task(seconds=90):
        site.clock.at += 50
        assert (gate.activity().eta, gate.activity().oldest_task) == (40, 50)
        with gate.task():
            assert gate.activity().eta is None
        with gate.claim():  # and nobody knows what it will fetch
            assert gate.activity().eta is None


def test_tokens_are_counted(site: Site) -> None:
    """Since the process began."""
    gate = site.gate()
    gate.add_tokens(tokens_in=100, tokens_out=7)
    gate.add_tokens(tokens_out=3)
    assert (gate.activity().tokens_in, gate.activity().tokens_out) == (100, 10)


def test_a_handle_begins_once_and_ends_as_often_as_it_likes(site: Site) -> None:
    """A count that is taken back twice would call a busy pod idle."""
    gate = site.gate()
    one, other = gate.task().begin(), gate.task().begin()
    with pytest.raises(RuntimeError, match="Task has begun before"):
        one.begin()
    one.end()
    one.end()
    gate.task().end()
    assert gate.activity().inflight == 1
    other.end()
    assert gate.activity().inflight == 0


async def test_who_waits_for_an_open_gate_is_woken_by_it(site: Site) -> None:
    """A consumer pauses while the pod drains, goes on when that is called back, and ends when the pod has to go."""
    gate, turns = site.gate(), list[bool]()
    gate.on_turn(turns.append)
    assert gate.wait_open()
    gate.drain(1)
    waiting = asyncio.create_task(gate.opened())
    blocked = asyncio.create_task(asyncio.to_thread(gate.wait_open))
    await asyncio.sleep(0)
    assert not waiting.done()
    gate.resume(2)
    assert await waiting
    assert await blocked
    gate.drain(3)
    going = asyncio.create_task(gate.opened())
    gate.must_go(30)
    assert not await going
    assert turns == [False, True, False, False]


async def test_what_is_begun_inside_a_task_belongs_to_it(site: Site) -> None:
    """A sub-agent of work that was let in is not cut off by a drain, on whatever it runs; a stranger is refused."""
    gate = site.gate(slots=9)

    async def sub_agent() -> None:
        async with gate.task():
            await asyncio.to_thread(thread)

    def thread() -> None:
        with gate.task(), gate.session(60):
            assert gate.activity().inflight == 3

    async with gate.task():
        gate.drain(1)
        await asyncio.create_task(sub_agent())
        late = asyncio.create_task(sub_agent())
    with pytest.raises(GateClosedError):
        await late
    with pytest.raises(GateClosedError), gate.task():
        pass
    assert gate.activity().acked


def test_one_gates_task_opens_no_other_gate(site: Site, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Where a process has several."""
    gate, other = site.gate(), Gate(Place("b", tmp_path_factory.mktemp("b")))
    other.drain(1)
    with gate.task(), pytest.raises(GateClosedError), other.task():
        pass
    other.close()
