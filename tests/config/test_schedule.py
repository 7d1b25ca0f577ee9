"""Laws of the schedule: wall-clock rules as windows in absolute time, whatever the clocks do."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from scaler.config.pool import ScheduleRule
from scaler.config.schedule import AHEAD, windows
from scaler.core.types import Announcement

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = [
    BERLIN,
    ZoneInfo("UTC"),
    ZoneInfo("America/New_York"),
    ZoneInfo("Asia/Kathmandu"),
    ZoneInfo("Australia/Lord_Howe"),
]
DAY = 86_400.0
BEGINNING, END = (datetime(year, 1, 1, tzinfo=UTC).timestamp() for year in (2026, 2028))

instants = st.floats(BEGINNING, END)
times = st.times().map(lambda t: t.replace(second=0, microsecond=0))
rules = st.builds(
    ScheduleRule,
    name=st.just("office"),
    days=st.frozensets(st.integers(0, 6), min_size=1),
    start=times,
    end=times,
    zone=st.sampled_from(ZONES),
    replicas=st.integers(1, 50),
)


def asked(rule: ScheduleRule, at: float) -> bool:
    """Whether the wall clock of the rule's zone shows a time at which the rule asks for replicas."""
    here = datetime.fromtimestamp(at, rule.zone)
    yesterday = (here.weekday() - 1) % 7
    clock = here.time()
    if rule.start < rule.end:
        return here.weekday() in rule.days and rule.start <= clock < rule.end
    return (here.weekday() in rule.days and clock >= rule.start) or (yesterday in rule.days and clock < rule.end)


def stands(found: tuple[Announcement, ...], at: float) -> bool:
    """Whether a window is open."""
    return any(w.start <= at < w.end for w in found)


def clocks_change(zone: ZoneInfo, at: float) -> bool:
    """Whether the zone's offset changes within a day and a half of an instant."""
    return len({datetime.fromtimestamp(at + n * DAY / 2, zone).utcoffset() for n in range(-3, 4)}) > 1


@given(rules, instants)
def test_pods_stand_whenever_the_wall_clock_says_so(rule: ScheduleRule, now: float) -> None:
    """No instant the rule asks for is missed, in any zone; and none else is covered unless the clocks change then."""
    found = windows((rule,), now)
    if asked(rule, now):
        assert stands(found, now)
    elif not clocks_change(rule.zone, now):
        assert not stands(found, now)


@given(rules, instants, st.floats(0.0, AHEAD))
def test_a_window_is_announced_a_day_ahead(rule: ScheduleRule, now: float, ahead: float) -> None:
    """What begins within a day is known now, so that pods can start in time."""
    if asked(rule, now + ahead):
        assert stands(windows((rule,), now), now + ahead)


@given(rules, instants)
def test_windows_are_whole_and_named_once(rule: ScheduleRule, now: float) -> None:
    """Each has a length, has not ended, asks for the rule's replicas in all, and can be told from the others."""
    found = windows((rule, rule), now)[::2]
    assert all(now < w.end and w.start < w.end <= w.start + DAY + 7_200 for w in found)
    assert all(w.pods == rule.replicas and not w.added for w in found)
    assert len({w.name for w in found}) == len(found)
    assert found == windows((rule,), now)


def at(text: str, zone: ZoneInfo = BERLIN) -> float:
    """The instant of a wall-clock time."""
    return datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()


def office(start: str, end: str, *days: int) -> ScheduleRule:
    """A rule in Berlin."""
    begin, until = time.fromisoformat(start), time.fromisoformat(end)
    return ScheduleRule(name="office", days=frozenset(days), start=begin, end=until, zone=BERLIN, replicas=5)


def test_a_working_day_stays_the_same_by_the_wall_clock_when_the_clocks_change() -> None:
    """Eight o'clock is eight o'clock on the Monday after, though it comes an hour earlier in absolute time."""
    rule = office("08:00", "18:00", *range(7))
    saturday, *_ = windows((rule,), at("2026-03-28T07:00"))
    monday, *_ = windows((rule,), at("2026-03-30T07:00"))
    assert monday.start - saturday.start == 2 * DAY - 3_600
    assert (monday.start, monday.end) == (at("2026-03-30T08:00"), at("2026-03-30T18:00"))
    assert monday.name == "office 2026-03-30"


def test_a_night_belongs_to_the_day_it_begins_on() -> None:
    """Friday night lasts into Saturday, and Saturday itself asks for nothing."""
    rule = office("22:00", "06:00", 4)
    friday = at("2026-11-20T23:00")
    (night,) = windows((rule,), friday)
    assert (night.start, night.end) == (at("2026-11-20T22:00"), at("2026-11-21T06:00"))
    assert windows((rule,), friday + 2 * DAY) == ()


def test_an_hour_that_exists_twice_is_covered_twice() -> None:
    """On 25 October 2026 Berlin's 02:00 to 03:00 comes twice, and pods stand from the first to the second."""
    (night,) = windows((office("02:00", "02:30", 6),), at("2026-10-24T12:00"))
    assert timedelta(seconds=night.end - night.start) == timedelta(hours=1, minutes=30)


def test_an_hour_that_does_not_exist_is_covered_all_the_same() -> None:
    """On 29 March 2026 Berlin has no 02:30; what begins then stands when the clocks show 03:00."""
    (morning,) = windows((office("02:30", "06:00", 6),), at("2026-03-28T12:00"))
    assert morning.start <= at("2026-03-29T03:00")
    assert morning.end == at("2026-03-29T06:00")


def test_the_day_ahead_ends_where_it_says() -> None:
    """A window is known one day before it begins, and not a second earlier."""
    rule, begins = office("08:00", "18:00", 4), at("2026-11-20T08:00")
    assert [w.start for w in windows((rule,), begins - AHEAD)] == [begins]
    assert windows((rule,), begins - AHEAD - 1) == ()


def test_without_rules_nothing_is_announced() -> None:
    """Most pools have no schedule."""
    assert windows((), at("2026-03-28T12:00")) == ()
