"""The alerts that ship: each asks metrics that there are, names labels that these have, and stands on the page."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import pytest
import yaml

from scaler.core.policy import Pace
from tests.house.reference import PAGE, RULES, Alert, alerts, metrics, table
from tests.house.source import ROOT
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


# What a Prometheus has scraped, each minute for half an hour, and whether nobody answers then.
UP: Final = ("agent_scaler_build_info", "1x30")
WITHOUT_POOLS: Final = (UP, ("agent_scaler_pools", "0x30"), ("agent_scaler_ticks_total", "0x30"))
AT_WORK: Final = (UP, ("agent_scaler_pools", "3x30"), ("agent_scaler_ticks_total", "0+36x30"))
AT_A_STANDSTILL: Final = (UP, ("agent_scaler_pools", "3x30"), ("agent_scaler_ticks_total", "7x30"))


@pytest.mark.parametrize(
    ("scraped", "fires"),
    [
        pytest.param(WITHOUT_POOLS, False, id="AnInstallationWithoutPoolsIsHealthy"),
        pytest.param(AT_WORK, False, id="OneThatTicksIsToo"),
        pytest.param(AT_A_STANDSTILL, True, id="PoolsThatNobodyEvaluates"),
        pytest.param((), True, id="NobodyIsThere"),
    ],
)
def test_an_alert_that_nobody_answers_is_true(
    tmp_path: Path, scraped: tuple[tuple[str, str], ...], *, fires: bool
) -> None:
    """Ticks are of pools of pods, and a fresh installation has none."""
    told(tmp_path, "AgentScalerNotAnswering", scraped, {} if fires else None)


POOL: Final = {"pool_namespace": "agents", "pool": "coder"}
OF_IT: Final = '{pool_namespace="agents", pool="coder"}'


@pytest.mark.parametrize(("turns", "fires"), [(5, False), (6, True)])
def test_an_alert_tells_of_a_pool_that_may_turn_back_no_more(tmp_path: Path, turns: int, *, fires: bool) -> None:
    """There is never a turn beyond the budget, so to ask for one more would be to ask for nothing."""
    assert Pace().flap_budget == 6
    scraped = ((f"agent_scaler_pool_reversals{OF_IT}", f"{turns}x30"),)
    said = "agents/coder turned back six times within an hour, and may not do so again"
    told(tmp_path, "AgentScalerFlaps", scraped, POOL if fires else None, said)


def told(
    folder: Path,
    name: str,
    scraped: Sequence[tuple[str, str]],
    labels: Mapping[str, str] | None,
    summary: str | None = None,
) -> None:
    """The alert fires after twenty minutes of this, with these labels and words; where there are none, it does not."""
    said = ALERTS[name]
    description = said.says.removeprefix(said.summary).strip()
    notes = {"summary": summary or said.summary, "description": description}
    expected = (
        [] if labels is None else [{"exp_labels": {"severity": said.severity, **labels}, "exp_annotations": notes}]
    )
    story = {
        "interval": "1m",
        "input_series": [{"series": series, "values": values} for series, values in scraped],
        "alert_rule_test": [{"eval_time": "20m", "alertname": said.name, "exp_alerts": expected}],
    }
    file = folder / "story.yaml"
    file.write_text(yaml.safe_dump({"rule_files": [str(RULES)], "tests": [story]}))
    command: list[str | Path] = [program("promtool", "prometheus"), "test", "rules", file]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_operator_of_prometheus_gets_the_same_rules(tmp_path: Path) -> None:
    """What the page pipes into kubectl is a PrometheusRule with each of them."""
    found = re.search("<!-- prometheusrule -->\n```sh\n(.*?)```\n<!-- end -->", PAGE.read_text(), re.DOTALL)
    assert found is not None
    tmp_path.joinpath("kubectl").write_text("#!/bin/sh\ncat\n")
    tmp_path.joinpath("kubectl").chmod(0o755)
    done = subprocess.run(
        ["/bin/sh", "-c", found[1]],
        check=True,
        cwd=ROOT,
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    made = yaml.safe_load(done.stdout)
    assert (made["kind"], made["spec"]) == ("PrometheusRule", yaml.safe_load(RULES.read_text()))


def test_labels_and_metrics_are_really_read() -> None:
    """The readers above find what is there, or the tests above would hold by themselves."""
    stuck = ALERTS["AgentScalerAgentsStuck"]
    assert asked(stuck) == {"agent_scaler_pool_stuck_pods"}
    assert labels(stuck) == {"pool_namespace", "pool", "trouble", "step"}
