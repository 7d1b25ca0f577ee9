"""The alerts that ship: each asks metrics that there are, names labels that these have, and stands on the page."""

from __future__ import annotations

import re
import subprocess
from typing import Final

import pytest

from tests.house.reference import PAGE, RULES, Alert, alerts, metrics, table
from tests.support.process import program

SEVERITIES: Final = {"critical", "warning"}
METRIC: Final = re.compile(r"\b(?:agent_scaler|process)_\w+")
ALERTS: Final = {each.name: each for each in alerts()}


def asked(alert: Alert) -> set[str]:
    """The metrics that it asks."""
    return set(METRIC.findall(alert.expression))


def labels(alert: Alert) -> set[str]:
    """The labels that it names, in its expression and in what it says."""
    within = re.findall(r"{(\w+)[=!]", alert.expression)
    grouped = [name for names in re.findall(r"\bby \(([^)]*)\)", alert.expression) for name in names.split(", ")]
    return {*within, *grouped, *re.findall(r"\$labels\.(\w+)", alert.says)}


def test_the_page_has_each_alert_once_and_no_other() -> None:
    """With its severity. After a change: python -m tests.house.reference."""
    assert [row[:3] for row in table(PAGE.read_text(), "alerts")] == [
        (f"`{each.name}`", each.severity, each.lasts) for each in alerts()
    ]


def test_the_page_names_no_alert_that_there_is_not() -> None:
    """Nor does any other page."""
    named = {name for page in PAGE.parent.glob("*.md") for name in re.findall(r"`(AgentScaler\w+)`", page.read_text())}
    assert named == set(ALERTS)


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_asks_metrics_that_there_are(name: str) -> None:
    """By labels that they have, and with a severity that people route by."""
    alert, known = ALERTS[name], metrics()
    assert asked(alert)
    assert asked(alert) <= set(known)
    has = {label for metric in asked(alert) for label in known[metric][1].split(", ")}
    assert labels(alert) <= has
    assert alert.severity in SEVERITIES


def test_promtool_finds_nothing_to_say_about_the_rules() -> None:
    """Prometheus loads them."""
    done = subprocess.run(
        [program("promtool", "prometheus"), "check", "rules", RULES], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_labels_and_metrics_are_really_read() -> None:
    """The readers above find what is there, or the tests above would hold by themselves."""
    stuck = ALERTS["AgentScalerAgentsStuck"]
    assert asked(stuck) == {"agent_scaler_pool_stuck_pods"}
    assert labels(stuck) == {"pool_namespace", "pool", "trouble", "step"}
