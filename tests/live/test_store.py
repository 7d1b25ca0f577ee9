"""What pools have learnt, on disk: small, rounded as stated and no more, and never a reason not to start."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scaler.config.pool import PoolKey
from scaler.core import idle as gaps
from scaler.core import startup
from scaler.core.forecast import CANDIDATES, Record
from scaler.core.memory import Memory
from scaler.core.policy import Pace, Policy
from scaler.core.reasons import Reason
from scaler.core.record import RecordError, to_json
from scaler.core.types import Known, Signal
from scaler.live.clock import VirtualClock
from scaler.live.lasting import SINGLES, TRIALS, column, pack, text, unpack
from scaler.live.lines import seal
from scaler.live.registry import Registry
from scaler.live.store import EVERY, REMEMBERED, SHARDS, Directory, Memories
from tests.core.pool import DAY, NOW, Story, busy, idle
from tests.support.logged import logged
from tests.support.pools import spec
from tests.support.wait import eventually

PACE = Pace()
KEY = PoolKey("agents", "coder")
TRIED = settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def taught(seed: int = 1, *, size: float = 1.0) -> Memory:
    """A memory that is as full as one can be, with numbers that have no short names."""
    chance = np.random.default_rng(seed)
    fresh = Memory.fresh(NOW - 123_456.789, PACE)
    lessons = replace(
        fresh.lessons,
        startups=startup.learn(fresh.lessons.startups, chance.uniform(20.0, 6_000.0, 64), PACE),
        gaps=replace(
            fresh.lessons.gaps,
            ended=chance.uniform(0.0, 1e7 * size, len(gaps.EDGES)),
            left=chance.uniform(0.0, 1e3 * size, len(gaps.EDGES)),
        ),
        capacity=tuple(Known(float(chance.uniform(1e-9, 1e-8) * (size or 1.0)), NOW - 9_999.9 + i) for i in range(10)),
        wait_price=10 * 1.25**2.3,
        priced_at=NOW - 1_799.4,
    )
    records = tuple(
        Record(chance.normal(0.0, 3e3, 720), 1_234.5678, 1.23456e-7, 9.87654e-6, 1_234_567, 1.23456e-7 / 9.87654e-6)
        for _ in CANDIDATES
    )
    return replace(fresh, at=NOW, lessons=lessons, forecast=replace(fresh.forecast, records=records))


def resumed(memory: Memory, now: float = NOW) -> Memory:
    """The memory of the process after this one."""
    return unpack(json.loads(pack(memory)), PACE, now)


SIZES = st.floats(0.0, 1e9) | st.sampled_from([0.0, 5e-324, 1e-107, 1.23456789e-9, 123456.789, 1e12])
AGES = st.floats(0.0, 1e9)
COUNTS = st.binary(min_size=2 * len(gaps.EDGES), max_size=2 * len(gaps.EDGES)).map(
    lambda cells: np.frombuffer(cells, dtype=np.uint8).astype(float)
)
MISSES = st.lists(SIZES | SIZES.map(lambda size: -size), max_size=30).map(np.array)
RECORD = st.builds(Record, MISSES, SIZES, SIZES, SIZES, st.integers(0, 2**40), st.none() | SIZES)
RECORDS = st.tuples(*[RECORD for _ in CANDIDATES])


@st.composite
def learnt(draw: st.DrawFn) -> Memory:
    """Whatever a pool may have been taught, in numbers of any size."""
    fresh = Memory.fresh(NOW - draw(AGES), PACE)
    counts, capacity = draw(COUNTS) * draw(SIZES), draw(st.lists(SIZES.filter(bool), max_size=10))
    lessons = replace(
        fresh.lessons,
        startups=startup.learn(fresh.lessons.startups, np.array(draw(st.lists(SIZES, max_size=64))), PACE),
        gaps=replace(fresh.lessons.gaps, ended=counts[: len(gaps.EDGES)], left=counts[len(gaps.EDGES) :]),
        capacity=tuple(Known(value, NOW - draw(AGES)) for value in capacity),
        wait_price=draw(st.floats(PACE.wait_price, PACE.wait_price_high)),
        priced_at=NOW - draw(AGES),
    )
    return replace(fresh, at=NOW, lessons=lessons, forecast=replace(fresh.forecast, records=draw(RECORDS)))


def taken(memory: Memory) -> int:
    """Bytes of the line that is kept of a pool with the longest names that a namespace and a label may have."""
    return len(seal({"pool": str(PoolKey("n" * 63, "p" * 63)), "kept": json.loads(pack(memory))})[0])


@pytest.mark.parametrize("size", [0.0, 1e-300, 1e-3, 1.0, 1e6])
def test_what_is_kept_of_a_full_memory_is_less_than_a_kibibyte(size: float) -> None:
    """However much it has learnt: 64 startups, every bin of both histograms, ten capacities and all forecasts."""
    assert taken(taught(size=size)) <= 1024


@TRIED
@given(learnt())
def test_what_is_kept_of_any_memory_is_less_than_a_kibibyte(memory: Memory) -> None:
    """In numbers of any size; and the next process can read it, and keeps no more."""
    assert taken(memory) <= 1024
    assert taken(replace(resumed(memory), at=NOW)) <= 1024


def test_what_is_rounded_is_rounded_as_stated() -> None:
    """Startups to 0.1 s, gaps and capacities to one part in 2,048, forecasts to 24 bits, instants to a second.

    And trials that prove no more are not counted.
    """
    memory = taught()
    lessons, again = memory.lessons, resumed(memory)
    assert again.lessons.startups.samples == pytest.approx(lessons.startups.samples, abs=0.0501)
    assert again.lessons.startups.p90 == pytest.approx(lessons.startups.p90, abs=0.0501)
    assert again.lessons.gaps.ended == pytest.approx(lessons.gaps.ended, rel=1 / 2048, abs=1e-3)
    assert again.lessons.gaps.left == pytest.approx(lessons.gaps.left, rel=1 / 2048, abs=1e-3)
    assert [c.value for c in again.lessons.capacity] == pytest.approx([c.value for c in lessons.capacity], rel=1 / 2048)
    assert again.lessons.capacity[-1].at == pytest.approx(lessons.capacity[-1].at, abs=1.0)
    assert again.lessons.wait_price == lessons.wait_price
    assert again.lessons.priced_at == pytest.approx(lessons.priced_at, abs=1.0)
    for was, now in zip(memory.forecast.records, again.forecast.records, strict=True):
        assert (now.margin, now.own, now.persistence) == pytest.approx(
            (was.margin, was.own, was.persistence), rel=2**-24
        )
        assert now.trials == min(was.trials, TRIALS)
        assert now.skill == pytest.approx(was.skill, rel=2**-23)
        upper = (0.8, 0.9, 0.95)
        assert np.quantile(now.residuals, upper) == pytest.approx(np.quantile(was.residuals, upper), rel=0.02)


def test_what_was_kept_before_there_was_another_forecast_is_read() -> None:
    """Three forecasts, each with its skill, as the first version wrote them; of the fourth nothing is known."""
    memory = taught()
    kept = json.loads(pack(memory))
    for trials, figures, misses in (skills := kept["skills"]).copy():
        margin, own, persistence = column(figures, SINGLES, (3,))
        skills.append([trials, text(np.array([margin, own, persistence, own / persistence]), SINGLES), misses])
    *former, fourth = unpack({**kept, "skills": skills[-len(CANDIDATES) : -1]}, PACE, NOW).forecast.records
    assert [to_json(record) for record in former] == [to_json(r) for r in resumed(memory).forecast.records[:-1]]
    assert to_json(fourth) == to_json(Memory.fresh(NOW, PACE).forecast.records[-1])


@pytest.mark.parametrize("count", [2, 5])
def test_a_text_of_too_few_or_too_many_forecasts_is_none_of_ours(count: int) -> None:
    """Fewer than there ever were, or more than there are."""
    kept = json.loads(pack(taught()))
    with pytest.raises(RecordError, match=f"skills of {count} forecasts, there are {len(CANDIDATES)}"):
        unpack({**kept, "skills": [kept["skills"][0]] * count}, PACE, NOW)


def test_nothing_is_rounded_twice() -> None:
    """What was kept is kept as it is by every process after that, however often it is restarted."""
    once = resumed(taught())
    assert pack(replace(resumed(once), at=NOW)) == pack(replace(once, at=NOW))


def test_the_idle_timer_is_worked_out_anew() -> None:
    """From the gaps that were kept, for the restart that was learnt."""
    again = resumed(taught())
    restart = again.lessons.startups.usual + PACE.drain_overhead
    assert again.lessons.gaps.timer == gaps.best_timer(again.lessons.gaps, restart=restart, pace=PACE)


def test_a_clock_set_back_between_two_processes_leaves_nothing_in_the_future() -> None:
    """What was learnt an hour from now was learnt just now."""
    again = resumed(taught(), NOW - 3_600)
    assert max(again.lessons.capacity[-1].at, again.lessons.gaps.at, again.lessons.priced_at) <= NOW - 3_600


def test_a_resumed_pool_lowers_nothing_for_one_idle_timer() -> None:
    """Its pods have idled for a day, for all we know; nobody has watched. Then they go, as in the unbroken run."""
    story = Story.of(Policy(), *(idle(f"agent-{i}") for i in range(4)))
    story.memory = resumed(story.memory)
    hold = story.memory.lessons.gaps.timer
    held = 0.0
    while held < hold - 5:
        held += 5
        outcome = story.tick()
        assert outcome.report == 4
        assert outcome.orders == ()
        assert Reason.NEWCOMER in {step.reason for step in outcome.trail}
    story.now += 5
    for _ in range(8):
        story.tick()
    assert story.replicas == 0


def test_a_resumed_pool_adds_at_once() -> None:
    """The hold is for falls."""
    story = Story.of(Policy(), busy("a"))
    story.memory = resumed(story.memory)
    story.signals[Signal.QUEUE] = 3.0
    assert story.tick().report == 4


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("gaps", "0000"),
        ("gaps", "not base85 \u00e9"),
        ("startups", "~~~~~"),
        ("skills", []),
        ("at", "yesterday"),
        ("capacity", [None]),
        ("capacity", "0000"),
        ("more", 1),
    ],
)
def test_what_nobody_wrote_is_refused(path: str, value: object) -> None:
    """Each row: a key, and what stands there instead."""
    with pytest.raises(RecordError):
        unpack(json.loads(pack(taught())) | {path: value}, PACE, NOW)


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Directory]:
    """An empty store."""
    directory = Directory(tmp_path)
    yield directory
    directory.close()


KEPT = {PoolKey("agents", f"coder-{i}"): pack(taught(i)) for i in range(40)}


def files(folder: Path) -> dict[str, bytes]:
    """What is in the folder, but for the lock."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != ".lock"}


def test_what_is_saved_is_loaded(directory: Directory, tmp_path: Path) -> None:
    """In a few files, whatever the number of pools, and with nothing left over."""
    directory.save(KEPT)
    assert directory.load() == KEPT
    assert 2 <= len(files(tmp_path)) <= SHARDS
    assert set(files(tmp_path)) <= {f"learnt-{i:02d}.jsonl" for i in range(SHARDS)}


def test_saving_replaces_what_was_there(directory: Directory) -> None:
    """A pool that is kept no more is in no file."""
    directory.save(KEPT)
    directory.save({KEY: KEPT[PoolKey("agents", "coder-1")]})
    assert list(directory.load()) == [KEY]


@TRIED
@given(data=st.data())
def test_damage_loses_at_most_what_was_damaged(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Bytes changed, cut off or put in, anywhere in any file: what is loaded is what was saved, or less and told."""
    folder = tmp_path_factory.mktemp("damaged")
    with closing(Directory(folder)) as directory:
        harm(data, folder, directory)


def harm(data: st.DataObject, folder: Path, directory: Directory) -> None:
    """Damage one file of a full store, and see that no more than that is lost."""
    directory.save(KEPT)
    path = data.draw(st.sampled_from(sorted(folder.glob("learnt-*"))))
    whole = path.read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    end = data.draw(st.sampled_from([at, at + 1, at + 200, len(whole)]))
    harmed = whole[:at] + data.draw(st.binary(max_size=3)) + whole[end:]
    path.write_bytes(harmed)
    loaded = directory.load()
    assert loaded.items() <= KEPT.items()
    assert (loaded == KEPT and path.read_bytes() == harmed) or path.with_suffix(".damaged").read_bytes() == harmed
    directory.save(KEPT)
    assert directory.load() == KEPT


def test_a_damaged_file_is_set_aside_and_told(
    directory: Directory, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """With the line that was damaged, and how much could be read all the same."""
    directory.save(KEPT)
    path = next(iter(sorted(tmp_path.glob("learnt-*"))))
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([lines[0], lines[1].replace(b"0", b"1", 1), *lines[2:]]))
    loaded = directory.load()
    assert len(loaded) == len(KEPT) - 1
    (line,) = logged(caplog)
    told = f"file={path} aside={path.stem}.damaged why=line 2: its checksum"
    assert line.startswith(f"a file of memories is damaged and was set aside {told}")
    assert f"; {len(lines) - 2} of its {len(lines) - 1} pools could be read" in line


def test_a_newer_file_is_left_as_it_is(directory: Directory, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A scaler that was rolled back neither believes it nor destroys it; the other files go on."""
    directory.save(KEPT)
    path = next(iter(sorted(tmp_path.glob("learnt-*"))))
    newer = b"".join(seal(line)[0] for line in ({"v": 2, "pools": 1}, {"anything": "else"}))
    path.write_bytes(newer)
    loaded = directory.load()
    directory.save(KEPT)
    assert path.read_bytes() == newer
    assert loaded.items() < KEPT.items()
    assert loaded == directory.load()
    line = logged(caplog)[0]
    told = "a file of memories is left as it is, and what its pools learn is not kept"
    assert line.startswith(f"{told} file={path} why=it is of version 2")
    assert "this scaler knows up to 1; run a newer one" in line


def test_a_file_that_cannot_be_read_is_left_as_it_is(
    directory: Directory, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A folder in its place, say: told, and no reason not to start."""
    for i in range(SHARDS):
        (tmp_path / f"learnt-{i:02d}.jsonl").mkdir()
    assert directory.load() == {}
    directory.save(KEPT)
    assert caplog.text.count("is left as it is") == SHARDS


def test_a_second_process_is_kept_off(directory: Directory, tmp_path: Path) -> None:
    """Two that write over each other would both forget."""
    with pytest.raises(OSError, match="another process writes there"):
        Directory(tmp_path)


def test_a_pool_resumes_what_it_has_learnt(directory: Directory, caplog: pytest.LogCaptureFixture) -> None:
    """A known pool does, a new one is new, and one whose text makes no sense learns anew and says so."""
    other = PoolKey("agents", "other")
    directory.save({KEY: pack(taught()), other: json.dumps({"at": NOW})})
    memories = Memories(directory)
    assert memories.recall(spec(), NOW).lessons.startups.samples
    assert memories.recall(spec("new"), NOW).lessons.startups.samples == ()
    assert memories.recall(spec("other"), NOW).lessons.startups.samples == ()
    (line,) = logged(caplog)
    assert line.startswith("what a pool had learnt cannot be read, and it learns anew pool=agents/other why=")


def test_what_is_known_of_absent_pools_is_kept_for_a_week(directory: Directory) -> None:
    """A pool that its trigger brings may come late; one that never comes back is forgotten at last."""
    directory.save({KEY: pack(taught())})
    memories = Memories(directory)
    memories.save(Registry(memories.recall), NOW + REMEMBERED)
    assert list(directory.load()) == [KEY]
    assert memories.recall(spec(), NOW + REMEMBERED).lessons.startups.samples
    memories.save(Registry(memories.recall), NOW + REMEMBERED + 2)
    assert directory.load() == {}


async def test_all_is_saved_every_few_minutes(directory: Directory) -> None:
    """Three of them, beside the loop; the registry's pools begin with what was kept."""
    directory.save({KEY: pack(taught())})
    memories, clock = Memories(directory), VirtualClock(NOW + DAY)
    registry = Registry(memories.recall)
    registry.put(spec(), clock.now())
    registry.put(spec("new"), clock.now())
    work = asyncio.create_task(memories.follow(registry, clock))
    await asyncio.sleep(0)

    async def saved() -> bool | None:
        """It has been saved once."""
        return True if memories.writes.good else None

    await clock.advance_to(NOW + DAY + EVERY - 1)
    assert await saved() is None
    await clock.advance_to(NOW + DAY + EVERY)
    await eventually(saved)
    work.cancel()
    with suppress(asyncio.CancelledError):
        await work
    assert memories.writes.last == NOW + DAY + EVERY
    assert set(directory.load()) == {KEY, PoolKey("agents", "new")}


def test_a_disk_that_fails_is_told_and_tried_again(
    directory: Directory, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What was there before stands, and the next save brings all."""
    caplog.set_level(logging.WARNING)
    memories = Memories(directory)
    registry = Registry(memories.recall)
    for i in range(40):
        registry.put(spec(f"coder-{i}"), NOW)
    drafts = [tmp_path / f"learnt-{i:02d}.jsonl.draft" for i in range(SHARDS)]
    for draft in drafts:
        draft.mkdir()
    memories.save(registry, NOW)
    assert (memories.writes.good, memories.writes.bad) == (0, 1)
    assert "what the pools have learnt could not be written, and is tried again" in caplog.text
    for draft in drafts:
        draft.rmdir()
    memories.save(registry, NOW)
    assert (memories.writes.good, memories.writes.bad) == (1, 1)
    assert len(directory.load()) == 40
