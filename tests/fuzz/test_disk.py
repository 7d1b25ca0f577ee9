"""What stands on the disk with a good checksum and makes no sense: something to decide with, or an error.

Damage that a checksum shows is in the laws of the journal and in the tests of the store.
"""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given
from hypothesis import strategies as st

from scaler.cli.replay import DiffersError, Replay
from scaler.core.policy import Pace, Policy
from scaler.core.record import Json, RecordError
from scaler.core.types import Signal
from scaler.live.lasting import pack, unpack
from scaler.live.reading import JournalError, Reading
from scaler.live.segments import segments
from tests.core.pool import NOW, Story, busy, idle
from tests.fuzz.material import changed
from tests.fuzz.test_parsers import clear
from tests.live.test_store import taught
from tests.properties.effort import tries
from tests.support.journals import lines, lived, rewrite, write

KEPT: Json = json.loads(pack(taught()))
HARMFUL: st.SearchStrategy[Json] = changed(KEPT, list(KEPT))


@tries(300)
@given(HARMFUL, st.sampled_from([NOW, NOW - 1e6, NOW + 1e6]))
def test_whatever_was_kept_is_a_memory_or_is_refused(kept: Json, now: float) -> None:
    """One that is accepted decides, and is kept again."""
    try:
        memory = unpack(kept, Pace(), now)
    except RecordError:
        return
    story = Story.of(Policy(), busy("a"), idle("b"))
    story.memory, story.now = memory, now
    story.signals |= {Signal.TOKENS: 100.0, Signal.QUEUE: 1.0}
    for later in (5.0, 5.0, 600.0):
        assert isinstance(story.tick(later).report, int)
    pack(story.memory)


def sealed() -> list[Json]:
    """The lines of a good journal: two pools, of which one is measured by other things later."""
    with TemporaryDirectory() as name:
        write(Path(name), lived(4, pools=2, pods=3))
        (path,) = segments(Path(name))
        return lines(path)


LINES = sealed()
KEYS = sorted({key for line in LINES for key in line} | {"gap", "lost", "on", "all", "uids", "unknown", "*", "0"})


def writable(value: object) -> bool:
    """Whether this could be a line: an object of what JSON allows."""
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        return False
    return isinstance(value, dict)


@tries(300)
@given(st.data())
def test_whatever_a_journal_says_is_decided_again_or_is_refused(data: st.DataObject) -> None:
    """A line says something else under a good checksum: it is an error that names it, or another outcome is shown."""
    at = data.draw(st.integers(0, len(LINES) - 1))
    wrong: Json = data.draw(changed(LINES[at], KEYS).filter(writable))
    with TemporaryDirectory() as name:
        path = Path(name) / "journal-00000001.jsonl"
        rewrite(path, [*LINES[:at], wrong, *LINES[at + 1 :]])
        replay = Replay()
        try:
            for entry in Reading(path):
                replay.again(entry)
        except (JournalError, DiffersError) as error:
            clear(str(error))
            assert f"{path}, line " in str(error)  # noqa: PT017 - often there is none
