"""Sources that begin and cease to fail: one line for each edge, however many pools read them."""

from __future__ import annotations

from structlog.testing import capture_logs

from scaler.cli.sparing import Sparing
from scaler.cli.watcher import Watcher
from scaler.sources.health import Failed, Fault, Health, Tally

NOON = 1_795_262_400.0  # 2026-11-21 12:00:00 UTC
REFUSED = Failed(Fault.UNREACHABLE, "the connection failed: refused")
SLOW = Failed(Fault.SLOW, "no answer within 4 s")


class World:
    """One source that is read, and a watcher that looks every five seconds."""

    def __init__(self) -> None:
        self.tally: Tally | None = Tally("prometheus http://prometheus:9090")
        self.watcher = Watcher(self._healths, Sparing())
        self.now = NOON

    def _healths(self) -> tuple[Health, ...]:
        return () if self.tally is None else (self.tally.health(),)

    def look(self, *results: object, times: int = 1) -> list[dict[str, object]]:
        """The lines of a look after these readings."""
        for result in results * times:
            assert self.tally is not None
            self.tally.add(result, 0.1)
        with capture_logs() as log:
            self.watcher.look(self.now)
        self.now += 5
        return [dict(line) for line in log]


def test_an_outage_is_two_lines_with_its_counts() -> None:
    """Ten thousand readings fail in every look of an hour; the log says when it began, why, and what it came to."""
    world = World()
    assert world.look("an answer", times=10) == []
    assert world.look(REFUSED, times=10_000) == [
        {
            "event": "a source fails",
            "log_level": "warning",
            "source": "prometheus http://prometheus:9090",
            "fault": "unreachable",
            "failed": 10_000,
            "reads": 10_000,
            "why": "the connection failed: refused",
        }
    ]
    for _ in range(720):
        assert world.look(REFUSED, times=10) == []
    assert world.look("an answer") == [
        {
            "event": "a source has ceased to fail",
            "log_level": "info",
            "source": "prometheus http://prometheus:9090",
            "fault": "unreachable",
            "failed": 17_200,
            "seconds": 3605.0,
        }
    ]
    assert world.look("an answer") == []


def test_each_way_to_fail_has_its_own_edges() -> None:
    """A server that refuses and then hangs is told so."""
    world = World()
    assert [line["fault"] for line in world.look(REFUSED)] == ["unreachable"]
    assert [(line["event"], line["fault"]) for line in world.look(SLOW)] == [
        ("a source has ceased to fail", "unreachable"),
        ("a source fails", "slow"),
    ]


def test_a_source_that_nobody_reads_has_not_recovered() -> None:
    """Silence is no answer."""
    world = World()
    world.look(REFUSED)
    assert world.look() == []
    assert [line["event"] for line in world.look("an answer")] == ["a source has ceased to fail"]


def test_a_source_that_is_let_go_is_forgotten() -> None:
    """When its server is read again, that is another beginning."""
    world = World()
    world.look(REFUSED)
    world.tally = None
    assert world.look() == []
    world.tally = Tally("prometheus http://prometheus:9090")
    assert [line["event"] for line in world.look(REFUSED)] == ["a source fails"]
