"""``scaler replay``: the same outcomes come of the same observations, and where they do not, it says so."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scaler.config.pool import PoolKey
from scaler.core.memory import Memory
from scaler.core.policy import Policy
from scaler.core.record import Json
from scaler.core.types import Signal
from scaler.live.journal import Limits
from scaler.live.lines import seal
from scaler.live.segments import segments
from tests.cli.conftest import Scaler, scaler
from tests.core.pool import NOW, busy, observe
from tests.support.journals import KEY, decided, lines, lived, rewrite, write

__all__ = ["scaler"]  # the fixture

POLICY = """\
pools:
  agents/coder:
    max: {most}
    replicas: {{query: q, url: "http://prometheus.test"}}
    signals: {{queue: {{query: q, url: "http://prometheus.test"}}}}
"""


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """The journal of two pools, in one file."""
    write(tmp_path / "journal", lived(30, pools=2, pods=4))
    return tmp_path / "journal"


def test_the_same_outcomes_come_again(scaler: Scaler, journal: Path) -> None:
    """A file or the directory, all pools or one."""
    for path in (journal, *segments(journal)):
        told = scaler("replay", path)
        assert told.exit_code == 0
        assert told.stdout == (
            "60 ticks of 2 pools, 2026-03-02 12:00:05 to 2026-03-02 12:02:30 UTC: every outcome is the same\n"
        )
    assert scaler("replay", journal, "--pool", "agents/coder").stdout.startswith("30 ticks of 1 pool,")
    data = json.loads(scaler("replay", journal, "--json").stdout)
    assert data == {
        "same": True,
        "ticks": 60,
        "pools": ["agents/coder", "agents/coder-1"],
        "flaws": {"cut": 0, "lost": 0, "gaps": 0},
    }


def test_what_a_journal_lacks_is_told(scaler: Scaler, tmp_path: Path) -> None:
    """Ticks that were left out, and a line that was cut."""
    write(tmp_path, lived(30), Limits(queue=6_000))
    (path,) = segments(tmp_path)
    path.write_bytes(path.read_bytes() + b'{"n":0,')
    told = scaler("replay", path)
    assert told.exit_code == 0
    assert "left out: 1 line cut short at the end of a file\n" in told.stdout
    assert "ticks not written down, because the disk could not keep up\n" in told.stdout


def doctored(path: Path, line: int, change: dict[str, Json]) -> None:
    """One line of the file says something else, and its seal is good."""
    values = lines(path)
    values[line] |= change
    rewrite(path, values)


def test_another_decision_is_shown_beside_the_recorded_one(scaler: Scaler, journal: Path) -> None:
    """The first of them, with its place, its instant, and both; the exit code is 1."""
    (path,) = segments(journal)
    out = lines(path)[1]["out"]
    doctored(path, 1, {"out": out | {"report": 99}})
    told = scaler("replay", path)
    assert told.exit_code == 1
    assert told.stdout == (
        f"{path}, line 2: agents/coder at 2026-03-02 12:00:05: another report comes out\n"
        f"  recorded: 99\n  now:      {out['report']}\n"
    )
    data = json.loads(scaler("replay", path, "--json").stdout)
    assert (data["same"], data["pool"], data["difference"]["recorded"]) == (False, "agents/coder", 99)


def test_a_line_that_has_a_digest_alone_is_compared_too(scaler: Scaler, journal: Path) -> None:
    """Where only notes differ it says so; the recorded ones are not known any more."""
    (path,) = segments(journal)
    line = next(i for i, value in enumerate(lines(path)) if "d" in value)
    doctored(path, line, {"d": "0" * 16})
    told = scaler("replay", path)
    assert told.exit_code == 1
    assert f"{path}, line {line + 1}: " in told.stdout
    assert 'another note comes out\n  recorded: "known by its digest only"\n  now:      [{"reason":' in told.stdout


def test_another_observation_gives_another_outcome(scaler: Scaler, journal: Path) -> None:
    """Nothing is compared with itself: were the queue another one, so would be what comes of it."""
    (path,) = segments(journal)
    line = next(i for i, value in enumerate(lines(path)) if "d" in value)
    doctored(path, line, {"s": [[70.0, 5.0]]})
    told = scaler("replay", path)
    assert told.exit_code == 1
    assert "comes out" in told.stdout


def test_a_memory_that_does_not_follow_is_a_difference(scaler: Scaler, tmp_path: Path) -> None:
    """What the next file begins with must be what this one has come to."""
    write(tmp_path, lived(40), Limits(segment=6_000))
    write(tmp_path / "other", lived(1, seed=9))
    path, other = segments(tmp_path)[1], segments(tmp_path / "other")[0]
    doctored(path, 1, {"memory": lines(other)[1]["memory"]})
    told = scaler("replay", tmp_path)
    assert told.exit_code == 1
    assert f"{path}, line 2: agents/coder at " in told.stdout
    assert "another memory (" in told.stdout


@pytest.mark.parametrize(
    ("change", "why"),
    [
        pytest.param({"n": 7}, "KeyError(7)", id="APoolThatHasNoFirstLine"),
        pytest.param({"t": "soon"}, "expected a number, found 'soon'", id="NoInstant"),
        pytest.param({"colour": 1}, "unknown keys ['colour']", id="AKeyOfNobody"),
        pytest.param({"r": {"lost": 1}}, "expected {'unknown': why}", id="NoSample"),
        pytest.param({"d": 5}, "expected str, found 5", id="NoDigest"),
        pytest.param({"policy": {"mode": "on"}}, "Policy has the fields", id="NoPolicy"),
        pytest.param({"pool": "agents/coder"}, "unknown keys ['d']", id="AFirstLineWithoutAllOfIt"),
    ],
)
def test_a_line_of_no_sense_is_bad_input(scaler: Scaler, journal: Path, change: dict[str, Json], why: str) -> None:
    """Each row: what a line with a good seal says, and part of the error. Named by file and line."""
    (path,) = segments(journal)
    line = next(i for i, value in enumerate(lines(path)) if "d" in value)
    doctored(path, line, change)
    told = scaler("replay", path)
    assert told.exit_code == 2
    assert told.stderr.startswith(f"{path}, line {line + 1}: ")
    assert why in told.stderr


@pytest.mark.parametrize("memory", ["", "AAAA", "\u00e9", "eJwrSSxKTM0DAAlXAqk=", "eJyrrgUAAXUA+Q=="])
def test_a_memory_that_is_none_is_bad_input(scaler: Scaler, journal: Path, memory: str) -> None:
    """No base64, nothing deflated, no JSON, no memory."""
    (path,) = segments(journal)
    doctored(path, 1, {"memory": memory})
    told = scaler("replay", path)
    assert told.exit_code == 2
    assert told.stderr.startswith(f"{path}, line 2: ")


def test_damage_and_other_versions_are_bad_input(scaler: Scaler, journal: Path) -> None:
    """Told with what to do; a newer journal is not guessed at."""
    (path,) = segments(journal)
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b'"n":1', b'"n":2', 1))
    told = scaler("replay", path)
    assert told.exit_code == 2
    assert "line 3: its checksum does not match" in told.stderr
    assert "what stands before that line can be replayed, as a file of its own" in told.stderr
    path.write_bytes(seal({"v": 2, "start": NOW})[0])
    assert "line 1: version 2 of the journal, and this scaler reads 1" in scaler("replay", path).stderr


def test_what_cannot_be_replayed_at_all_is_bad_input(scaler: Scaler, journal: Path, tmp_path: Path) -> None:
    """No file, no such pool, and no file of ours."""
    missing = tmp_path / "none"
    assert scaler("replay", missing).stderr == f"{missing} cannot be read: No such file or directory\n"
    told = scaler("replay", journal, "--pool", "agents/codr")
    assert (told.exit_code, told.stderr) == (
        2,
        f"--pool 'agents/codr' is in no line of {journal}, which has agents/coder, agents/coder-1; name one of these\n",
    )
    foreign = tmp_path / "foreign"
    foreign.write_text('{"hello": "world"}\n')
    assert scaler("replay", foreign).exit_code == 2


def test_another_policy_is_compared_tick_by_tick(scaler: Scaler, tmp_path: Path) -> None:
    """Queue 0, 9, 9, 9 under a maximum of 20, and what a maximum of 3 would have made of it."""
    now, memory, ticks = NOW, Memory.fresh(NOW), []
    for queue in (0, 9, 9, 9):
        now += 5
        observation = observe([busy("a")], {Signal.QUEUE: queue}, at=now)
        moment = decided(Policy(), memory, observation, now)
        memory = moment.outcome.memory
        ticks.append((KEY, moment))
    write(tmp_path / "journal", ticks)
    config = tmp_path / "pools.yaml"
    config.write_text(POLICY.format(most=3))
    told = scaler("replay", tmp_path / "journal", "--policy", config)
    assert told.exit_code == 0
    head, *changes = told.stdout.splitlines()
    assert head.split() == ["recorded", "with", "the", "policy"]
    assert changes[0].split() == ["2026-03-02", "12:00:05", "1", "(steady)", "1", "(steady)"]
    assert changes[1].split()[1:] == ["12:00:10", "5", "(rate_limit)", "3", "(maximum)"]
    assert "  most                   5           3" in changes
    assert changes[-1].startswith("The pods are those that there were")
    data = json.loads(scaler("replay", tmp_path / "journal", "--policy", config, "--json").stdout)
    assert (data["recorded"]["most"], data["policy"]["most"], data["ticks"]) == (5, 3, 4)
    assert data["changes"][1]["policy"] == {"report": 3, "reason": "maximum"}


def test_the_policy_in_force_changes_nothing(scaler: Scaler, journal: Path, tmp_path: Path) -> None:
    """The same policy decides the same, so both sides are one."""
    config = tmp_path / "pools.yaml"
    config.write_text(POLICY.format(most=20))
    data = json.loads(scaler("replay", journal, "--policy", config, "--pool", "agents/coder", "--json").stdout)
    assert data["recorded"] == data["policy"]
    assert all(change["recorded"] == change["policy"] for change in data["changes"])


def test_a_comparison_needs_one_pool_and_a_policy_for_it(scaler: Scaler, journal: Path, tmp_path: Path) -> None:
    """Several pools, a file that is none, one that says too little of the pool: each told with the way out."""
    config = tmp_path / "pools.yaml"
    config.write_text(POLICY.format(most=3))
    several = scaler("replay", journal, "--policy", config)
    assert (several.exit_code, several.stderr) == (
        2,
        f"{journal} holds several pools, agents/coder and agents/coder-1 among them; name one with --pool\n",
    )
    other = scaler("replay", journal, "--policy", config, "--pool", "agents/coder-1")
    assert other.exit_code == 2
    assert f"{config}: replicas: nothing says how many replicas there are" in other.stderr
    config.write_text("mode: on")
    assert scaler("replay", journal, "--policy", config, "--pool", str(PoolKey("agents", "coder"))).exit_code == 2
    absent = scaler("replay", journal, "--policy", tmp_path / "no.yaml", "--pool", "agents/coder")
    assert absent.stderr == f"--policy {tmp_path / 'no.yaml'} cannot be read: No such file or directory\n"


@pytest.mark.parametrize("options", [[], ["--json"], ["--policy", "pools.yaml"], ["--pool", "agents/coder"]], ids=str)
@pytest.mark.parametrize("what", ["folder", "file"])
def test_what_has_no_tick_is_no_journal(scaler: Scaler, tmp_path: Path, what: str, options: list[str]) -> None:
    """Of nothing everything is true, so nobody is told that it is the same."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "passwd").write_text("root")
    (tmp_path / "file").touch()
    told = scaler("replay", tmp_path / what, *options)
    why = "has no tick of any pool: give what serve --journal wrote, its directory or a file of it"
    assert (told.exit_code, told.stdout, told.stderr) == (2, "", f"{tmp_path / what} {why}\n")
