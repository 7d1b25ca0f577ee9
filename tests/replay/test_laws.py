"""Laws of the journal: whatever a pool lived through comes back and is decided the same, and no damage goes unseen."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given
from hypothesis import strategies as st

from scaler.config.pool import PoolKey
from scaler.core.memory import Memory
from scaler.live.journal import Limits
from scaler.live.reading import Entry, JournalError, Reading
from scaler.live.segments import segments
from scaler.live.ticker import Moment
from tests.properties.drawn import policies
from tests.properties.effort import tries
from tests.properties.stories import SPANS, Story, stories
from tests.support.journals import decided, lived, read, replayed, told, told_of, write

STEPS = (*SPANS, -100_000.0, -30.0, -0.5, 100_000.0, 1 / 3)
ANY = stories(policies(), STEPS, reload=True)


def ticks(stories: list[Story]) -> Iterator[tuple[PoolKey, Moment]]:
    """The ticks of several pools in turn."""
    pools = {PoolKey("agents", f"pool-{i}"): [*story.past, story.present] for i, story in enumerate(stories)}
    memories: dict[PoolKey, Memory] = {}
    for n in range(max(map(len, pools.values()))):
        for key, turns in pools.items():
            if n < len(turns):
                turn = turns[n]
                memory = memories.get(key) or Memory.fresh(turn.now, turn.policy.pace)
                moment = decided(turn.policy, memory, turn.pool.observe(turn.policy, turn.now), turn.now)
                memories[key] = moment.outcome.memory
                yield key, moment


@tries(150)
@given(st.lists(ANY, min_size=1, max_size=3), st.sampled_from([1, 5_000, 10**9]))
def test_whatever_pools_live_through_is_decided_again(stories: list[Story], segment: int) -> None:
    """Pods come and go, signals fail, the clock is set, the policy changes, files end: each outcome is the same.

    And each file can be replayed by itself.
    """
    lived = list(ticks(stories))
    with TemporaryDirectory() as name:
        folder = Path(name)
        write(folder, lived, Limits(segment=segment, kept=1_000))
        entries, flaws = read(folder)
        assert [told_of(entry) for entry in entries] == [told(key, moment) for key, moment in lived]
        assert (flaws.cut, flaws.lost, flaws.gaps) == (0, 0, 0)
        assert replayed(folder).ticks == len(lived)
        assert sum(replayed(path).ticks for path in segments(folder)) == len(lived)


def until_damage(path: Path) -> tuple[list[Entry], bool]:
    """The entries that can be read, and whether something was said of others."""
    reading, entries = Reading(path), []
    try:
        for entry in reading:
            entries.append(entry)  # noqa: PERF402 - what came before an error counts
    except JournalError as error:
        assert str(error).startswith(f"{path}, line ")  # noqa: PT017 - often there is none
        return entries, True
    return entries, reading.flaws.cut > 0


@tries(300)
@given(st.data())
def test_damage_is_seen_and_what_stands_before_it_is_read(data: st.DataObject) -> None:
    """Bytes changed, taken out or put in, anywhere: what is read is what was written, up to there, and that is said.

    Only whole lines gone from the end cannot be seen: a crash leaves the same.
    """
    with TemporaryDirectory() as name:
        write(Path(name), lived(12, pods=3))
        (path,) = segments(Path(name))
        written, whole = [told_of(entry) for entry in Reading(path)], path.read_bytes()
        at = data.draw(st.integers(0, len(whole) - 1))
        end = data.draw(st.sampled_from([at, at + 1, at + 300, len(whole)]))
        harmed = whole[:at] + data.draw(st.binary(max_size=3)) + whole[end:]
        path.write_bytes(harmed)
        entries, said = until_damage(path)
        assert [told_of(entry) for entry in entries] == written[: len(entries)]
        assert said or (whole.startswith(harmed) and harmed.endswith(b"\n")) or not harmed


@tries(100)
@given(st.data())
def test_lines_that_are_gone_or_moved_are_seen(data: st.DataObject) -> None:
    """Each line is sealed with those before it, up to the line that begins a process: none is missing or elsewhere."""
    with TemporaryDirectory() as name:
        write(Path(name), lived(8, pods=2))
        (path,) = segments(Path(name))
        there = path.read_bytes().splitlines(keepends=True)
        kept = data.draw(st.lists(st.sampled_from(range(len(there))), min_size=1, max_size=len(there)))
        path.write_bytes(b"".join(there[i] for i in kept))
        _, said = until_damage(path)
        legal = kept[0] == 0 and all(after in (0, before + 1) for before, after in pairwise(kept))
        assert said is not legal
