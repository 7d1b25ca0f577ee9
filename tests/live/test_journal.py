"""The journal: small, bounded, never waiting for a disk, and readable whatever became of the process or the disk."""

from __future__ import annotations

import asyncio
import logging
import resource
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from scaler.config.pool import PoolKey
from scaler.core.memory import Memory
from scaler.core.policy import Policy
from scaler.core.record import to_json
from scaler.core.types import Known, Signal, Unknown
from scaler.live.board import Board
from scaler.live.clock import VirtualClock
from scaler.live.journal import FLUSH, RETRY, Journal, Limits
from scaler.live.registry import Pool
from scaler.live.segments import segments
from scaler.live.ticker import Moment, Ticker
from tests.core.pool import NOW, busy, idle, observe, starting, unheard
from tests.support.journals import KEY, decided, lines, lived, read, replayed, told, told_of, write
from tests.support.logged import logged
from tests.support.pools import spec
from tests.support.wait import eventually

SMALL = Limits(segment=20_000, kept=3)


def quiet(ticks: int) -> Iterator[tuple[PoolKey, Moment]]:
    """A pool of twenty pods and all nine signals, where nothing changes but what time it is, by no round steps."""
    pods = [busy(f"agent-{i}") if i % 3 else idle(f"agent-{i}") for i in range(18)]
    policy, now, memory = Policy(min_replicas=20), NOW, Memory.fresh(NOW)
    for n in range(ticks):
        now += 5.0001234567 + n / 7e6
        samples = (Known(10 / (3 + i) if i else 0.0, now - 0.4234567 * (i + 1)) for i in range(len(Signal)))
        signals = dict(zip(Signal, samples, strict=True))
        observation = observe([*pods, unheard("silent"), starting("new")], signals, at=now)
        moment = decided(policy, memory, observation, now)
        memory = moment.outcome.memory
        yield KEY, moment


def test_a_tick_that_changed_nothing_costs_at_most_200_bytes(tmp_path: Path) -> None:
    """Of a pool of twenty pods, with nine signals that were each read at another instant."""
    write(tmp_path, quiet(200))
    sizes = [len(line) for line in segments(tmp_path)[0].read_bytes().splitlines(keepends=True)]
    assert max(sizes[10:]) <= 200
    assert replayed(tmp_path).ticks == 200


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """Every tick of every pool, to the last bit, and the same outcomes come of it again."""
    ticks = list(lived(60, pools=3))
    write(tmp_path, ticks)
    entries, flaws = read(tmp_path)
    assert [told_of(entry) for entry in entries] == [told(key, moment) for key, moment in ticks]
    assert (flaws.cut, flaws.lost, flaws.gaps) == (0, 0, 0)
    assert replayed(tmp_path).ticks == len(ticks)


def test_files_are_bounded_in_size_and_number_and_each_can_be_replayed_alone(tmp_path: Path) -> None:
    """The newest ticks are there, the oldest are gone, and no tick is in two files."""
    ticks = list(lived(150, pools=3))
    write(tmp_path, ticks, SMALL)
    there = segments(tmp_path)
    assert len(there) == SMALL.kept
    assert max(path.stat().st_size for path in there) < SMALL.segment + 10_000
    alone = [replayed(path).ticks for path in there]
    entries, _ = read(tmp_path)
    assert [told_of(entry) for entry in entries] == [told(key, moment) for key, moment in ticks[-sum(alone) :]]
    assert replayed(tmp_path).ticks == sum(alone) > 0


def test_a_pool_goes_on_in_the_next_file_where_it_was(tmp_path: Path) -> None:
    """The memory that the next file begins with is the one that the replay of this one has come to."""
    write(tmp_path, lived(60), Limits(segment=5_000))
    entries, _ = read(tmp_path)
    firsts = [entry for entry in entries if entry.memory is not None]
    assert len(firsts) == len(segments(tmp_path)) > 2
    assert [entry.resumes for entry in firsts] == [True, *[False] * (len(firsts) - 1)]


def test_a_file_is_no_older_than_its_limit(tmp_path: Path) -> None:
    """In the pool's own time; a clock that was set back by as much ends a file too."""
    write(tmp_path, lived(60), Limits(age=100.0))
    assert [len(lines(path)) - 1 for path in segments(tmp_path)] == [20, 20, 20]


def test_a_new_process_goes_on_in_the_same_file(tmp_path: Path) -> None:
    """Its pools begin anew there."""
    for seed in (1, 2):
        write(tmp_path, lived(10, seed=seed))
    entries, flaws = read(tmp_path)
    assert [i for i, entry in enumerate(entries) if entry.resumes] == [0, 10]
    assert ["v" in line for line in lines(segments(tmp_path)[0])] == [True, *[False] * 10, True, *[False] * 10]
    assert (len(segments(tmp_path)), flaws.cut, flaws.gaps) == (1, 0, 0)


def test_a_new_process_leaves_a_full_file_alone(tmp_path: Path) -> None:
    """It begins the next one."""
    write(tmp_path, lived(10))
    (full,) = segments(tmp_path)
    was = full.read_bytes()
    write(tmp_path, lived(1), Limits(segment=len(was)))
    assert full.read_bytes() == was
    assert [replayed(path).ticks for path in segments(tmp_path)] == [10, 1]


def test_a_line_that_a_crash_cut_short_is_left_out(tmp_path: Path) -> None:
    """Wherever it was cut, the lines before it are read, and the next process appends to them."""
    first, second = tmp_path / "first", tmp_path / "second"
    write(first, lived(5))
    (path,) = segments(first)
    whole = path.read_bytes()
    last = whole.rindex(b"\n", 0, -1) + 1
    for cut in range(last + 1, len(whole)):
        path.write_bytes(whole[:cut])
        entries, flaws = read(first)
        assert (len(entries), flaws.cut) == (4, 1)
    shutil.copytree(first, second)
    write(second, lived(3, seed=2))
    entries, flaws = read(second)
    assert (len(entries), flaws.cut) == (7, 0)
    assert replayed(second).ticks == 7


@pytest.mark.parametrize("left", [b"", b'{"v":1,"sta', b"\0" * 200_000])
def test_a_file_without_one_whole_line_is_begun_again(tmp_path: Path, left: bytes) -> None:
    """Killed in its first moment."""
    (tmp_path / "journal-00000007.jsonl").write_bytes(left)
    assert read(tmp_path)[0] == []
    write(tmp_path, lived(3))
    assert [path.name for path in segments(tmp_path)] == ["journal-00000007.jsonl"]
    assert replayed(tmp_path).ticks == 3


def test_what_the_disk_cannot_take_is_left_out_and_said(tmp_path: Path) -> None:
    """A full queue loses ticks, never parts of them; the pool's next line says how many and begins anew."""
    ticks = list(lived(40, pools=2))
    with closing(Journal(tmp_path, Limits(queue=15_000))) as journal:
        for i, (key, moment) in enumerate(ticks):
            journal.note(key, moment)
            if i in (55, 70):
                journal.flush()
        assert journal.lost > 0
    entries, flaws = read(tmp_path)
    assert flaws.lost == journal.lost == len(ticks) - len(entries)
    there = [told(key, moment) for key, moment in ticks]
    assert all(told_of(entry) in there for entry in entries)
    assert replayed(tmp_path).ticks == len(entries)


def test_ticks_lost_at_the_very_end_are_said_too(tmp_path: Path) -> None:
    """Nothing follows them that could say so, so the end does."""
    with closing(Journal(tmp_path, Limits(queue=6_000))) as journal:
        for key, moment in lived(40):
            journal.note(key, moment)
    entries, flaws = read(tmp_path)
    assert flaws.lost == journal.lost == 40 - len(entries) > 0


@contextmanager
def full_disk(size: int) -> Iterator[None]:
    """No file grows beyond this many bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_leaves_a_gap_and_nothing_worse(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Lines written in part are taken back; when there is room again the journal goes on and tells of the gap."""
    caplog.set_level(logging.WARNING)
    ticks = list(lived(60))
    with closing(Journal(tmp_path)) as journal:
        note(journal, ticks[:20])
        size = segments(tmp_path)[0].stat().st_size
        with full_disk(size + 150):
            note(journal, ticks[20:40])
        assert journal.writes.bad > 0
        assert read(tmp_path)[1].cut == 1
        note(journal, ticks[40:])
    told_line = "the journal cannot be written, and is tried again seconds=5.0 why=[Errno 27] File too large"
    assert told_line in logged(caplog)
    entries, flaws = read(tmp_path)
    assert (flaws.cut, flaws.gaps > 0) == (0, True)
    assert [told_of(entry) for entry in entries[:20]] == [told(key, moment) for key, moment in ticks[:20]]
    assert [told_of(entry) for entry in entries[-19:]] == [told(key, moment) for key, moment in ticks[-19:]]
    assert replayed(tmp_path).ticks == len(entries)


def note(journal: Journal, ticks: list[tuple[PoolKey, Moment]]) -> None:
    """Note these, each brought to the disk before the next."""
    for key, moment in ticks:
        journal.note(key, moment)
        journal.flush()


def test_a_folder_that_is_gone_is_no_reason_to_stop(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Told at every try, and tried no oftener than every few seconds; it goes on when the folder is back."""
    folder = tmp_path / "journal"
    ticks = list(lived(40))
    with closing(Journal(folder)) as journal:
        shutil.rmtree(folder)
        note(journal, ticks[:20])
        assert 1 <= journal.writes.bad <= 1 + 100 / RETRY
        folder.mkdir()
        note(journal, ticks[20:])
    assert caplog.text.count("the journal cannot be written") == journal.writes.bad
    assert replayed(folder).ticks >= 19


def test_noting_does_not_touch_the_disk(tmp_path: Path) -> None:
    """A disk that hangs delays no decision; a thread brings the lines there within a second."""
    with closing(Journal(tmp_path)) as journal:
        for key, moment in lived(3):
            journal.note(key, moment)
        assert segments(tmp_path) == []
    assert len(read(tmp_path)[0]) == 3
    assert FLUSH <= 1


async def test_lines_are_brought_to_the_disk_by_and_by(tmp_path: Path) -> None:
    """Twice a second, by the clock."""
    clock = VirtualClock(NOW)
    with closing(Journal(tmp_path)) as journal:
        work = asyncio.create_task(journal.follow(clock))
        await asyncio.sleep(0)
        for key, moment in lived(3):
            journal.note(key, moment)

        async def written() -> bool | None:
            """The lines are on the disk."""
            return True if journal.writes.good else None

        await clock.advance_to(NOW + FLUSH)
        await eventually(written)
        assert len(read(tmp_path)[0]) == 3
        work.cancel()
        with suppress(asyncio.CancelledError):
            await work


def test_a_second_process_is_kept_off(tmp_path: Path) -> None:
    """Two chains in one file would be none."""
    with closing(Journal(tmp_path)), pytest.raises(OSError, match="another process writes there"):
        Journal(tmp_path)


def test_a_pool_that_comes_back_begins_anew(tmp_path: Path) -> None:
    """Taken off and put on again, it has another memory; its next line leans on nothing, forgotten or not."""
    with closing(Journal(tmp_path)) as journal:
        for forgotten in (False, True):
            for key, moment in lived(3):
                journal.note(key, moment)
            if forgotten:
                journal.forget(KEY)
        for key, moment in lived(3):
            journal.note(key, moment)
    entries, _ = read(tmp_path)
    assert [i for i, entry in enumerate(entries) if entry.resumes] == [0, 3, 6]
    assert replayed(tmp_path).ticks == 9


def test_a_policy_is_written_where_it_changes(tmp_path: Path) -> None:
    """Once, and not where a reload left it as it was."""
    policies = [Policy(), Policy(), Policy(max_replicas=7), Policy(max_replicas=7)]
    memory, now, ticks = Memory.fresh(NOW), NOW, []
    for policy in policies:
        now += 5
        moment = decided(policy, memory, observe([busy("a")], {Signal.QUEUE: 1}, at=now), now)
        memory = moment.outcome.memory
        ticks.append((KEY, moment))
    write(tmp_path, ticks)
    assert ["policy" in line for line in lines(segments(tmp_path)[0])[1:]] == [True, False, True, False]
    assert [entry.policy for entry in read(tmp_path)[0]] == policies


def test_what_cannot_be_written_down_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A figure that is of no kind of ours: the tick is missing, the pool goes on."""
    ticks = list(lived(3))
    key, moment = ticks[1]
    strange = replace(moment.observation, replicas=Unknown(object()))  # type: ignore[arg-type]
    ticks[1] = key, replace(moment, observation=strange)
    write(tmp_path, ticks)
    entries, flaws = read(tmp_path)
    assert (len(entries), flaws.lost) == (2, 1)
    assert "a tick cannot be written down" in caplog.text
    assert replayed(tmp_path).ticks == 2


def test_the_ticker_writes_down_what_it_decides(tmp_path: Path) -> None:
    """With the memory before the tick, once; and once more where a pool was forgotten."""
    pool = Pool(spec(), NOW)
    first = pool.memory
    with closing(Journal(tmp_path)) as journal:
        ticker = Ticker(Board(), witness=journal)
        for n in range(6):
            if n == 3:
                ticker.forget(pool.spec.key)
            ticker.tick(pool, pool.observe(NOW + n), NOW + n)
    entries, _ = read(tmp_path)
    assert [entry.memory is not None for entry in entries] == [True, False, False] * 2
    assert to_json(entries[0].memory) == to_json(first)
    assert [entry.at for entry in entries] == [NOW + n for n in range(6)]
    assert replayed(tmp_path).ticks == 6
