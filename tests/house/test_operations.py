"""The operators' page: every metric, log event, log key and reason of the code stands there once, and nothing else."""

from __future__ import annotations

import re
from collections import Counter

from scaler.sources.health import Fault
from tests.house.reference import PAGE, Line, lines, metrics, reasons, table, written

TEXT = PAGE.read_text()


def first(name: str) -> Counter[str]:
    """The first cells of a table, without their quotes."""
    return Counter(row[0].strip("`") for row in table(TEXT, name))


def once(names: set[str]) -> Counter[str]:
    """Each of them once."""
    return Counter(dict.fromkeys(names, 1))


def test_every_metric_is_told_once_with_type_labels_and_meaning() -> None:
    """The table is what the code says. After a change: python -m tests.house.reference."""
    assert first("metrics") == once(set(metrics()))
    assert written(TEXT) == TEXT


def test_every_reason_is_told_once() -> None:
    """With its Event and its sentence."""
    assert first("reasons") == once(set(reasons()))


def test_every_log_event_is_a_constant() -> None:
    """Figures belong into keys: who searches a log, or counts its lines, needs a name that does not change."""
    assert [line for line in lines() if "%" in line.event or not re.fullmatch(r"[a-z][a-z ,]+", line.event)] == []


def test_every_log_event_is_told_once_with_its_level() -> None:
    """And no event that nobody logs any more."""
    told = Counter((row[0], row[1]) for row in table(TEXT, "events"))
    assert told == Counter({(line.event, line.level): 1 for line in lines()})
    assert first("events") == once({line.event for line in lines()})


def test_every_log_key_is_told_once() -> None:
    """And no key that no line has any more."""
    assert first("keys") == once({key for line in lines() for key in line.keys})


def test_every_fault_of_a_source_is_told() -> None:
    """Whoever reads `fault` in a log or a label finds it in the row of that key, and none that there is not."""
    [meaning] = [row[1] for row in table(TEXT, "keys") if row[0] == "`fault`"]
    assert set(re.findall(r"`(\w+)`", meaning)) == {fault.value for fault in Fault}


def test_the_page_names_no_metric_that_there_is_not() -> None:
    """Its text may speak of metrics, but only of those in its table."""
    assert set(re.findall(r"`((?:agent_scaler|process)_\w+)`", TEXT)) <= set(metrics())


def test_the_code_is_really_read() -> None:
    """The reader of our source finds lines of every shape: keywords, extras, bound keys, and names for events."""
    found = {line.event: line for line in lines()}
    assert found["a page failed"].keys == ("method", "path")
    assert {"reason", "before", "after"} <= set(found["the target moved"].keys)
    told = found["the configuration cannot be used and stays as it was"]
    assert isinstance(told, Line)
    assert (told.level, told.keys) == ("error", ("file", "why", "problems"))
