"""What the routes answer, to whom, and that they tell what those who read them expect."""

from __future__ import annotations

import json

import pytest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from scaler.agent.desk import LARGEST, Desk, Question, ours
from scaler.agent.metrics import HELP
from scaler.core.pods import Phase
from scaler.sources.activity_answer import Report, report
from tests.agent.material import NOW, UID, Site, asked
from tests.house.source import ROOT


@pytest.fixture
def desk(site: Site) -> Desk:
    """A desk of a gate with four slots."""
    return Desk(site.gate(slots=4))


def read(desk: Desk) -> Report:
    """The activity, as the scaler reads it."""
    told = report(desk.answer(Question("GET", "/activity")).body)
    assert isinstance(told, Report), told
    return told


def test_the_scaler_reads_what_the_gate_tells(site: Site, desk: Desk) -> None:
    """Through a drain: active, draining while busy, drained and acknowledged."""
    task, session = desk.gate.task().begin(), desk.gate.session(60).begin()
    assert (read(desk).uid, read(desk).inflight, read(desk).sessions) == (UID, 1, 1)
    assert (read(desk).phase, read(desk).epoch, read(desk).acked) == (Phase.ACTIVE, 0, -1)
    desk.gate.drain(3)
    assert (read(desk).phase, read(desk).epoch, read(desk).acked) == (Phase.DRAINING, 3, -1)
    task.end()
    session.end()
    assert (read(desk).phase, read(desk).epoch, read(desk).acked) == (Phase.DRAINED, 3, 3)
    assert read(desk).ready


def test_a_gate_that_does_not_know_how_it_stood_is_no_supply(site: Site) -> None:
    """It is not ready, not accepting, has acknowledged nothing, and says why."""
    site.gate().close()
    site.file.write_text("{")
    desk = Desk(site.gate())
    assert (read(desk).ready, read(desk).phase, read(desk).acked) == (False, Phase.DRAINING, -1)
    _, told = asked(desk, "/activity")
    assert isinstance(told, dict)
    assert "gate.json cannot be read" in told["trouble"]
    assert asked(desk, "/resume", site.order("resume", 9)) == (
        409,
        {
            "error": "the order to resume has epoch 9; the last one carried out is not known, so only a drain is taken",
            "epoch": 0,
            "asked": 9,
        },
    )


def test_a_busy_agent_says_with_what_and_for_how_long(site: Site, desk: Desk) -> None:
    """For how long only if every task has said so."""
    with desk.gate.task(seconds=90):
        site.clock.at += 30
        told = {"state": "busy", "epoch": 1, "inflight": 1, "sessions": 0, "eta": 60.0}
        assert asked(desk, "/drain", site.order("drain", 1)) == (200, told)
    assert asked(desk, "/drain", site.order("drain", 1)) == (200, {"state": "drained", "epoch": 1})
    assert asked(desk, "/resume", site.order("resume", 2)) == (200, {"state": "active", "epoch": 2})


def test_a_late_order_is_told_which_came_before_it(site: Site, desk: Desk) -> None:
    """By the number, so that who gives orders goes on from there."""
    asked(desk, "/drain", site.order("drain", 3))
    status, told = asked(desk, "/drain", site.order("drain", 2))
    said = "the order to drain has epoch 2; the last one carried out is 3, and only a later one is taken"
    assert (status, told) == (409, {"error": said, "epoch": 3, "asked": 2})


def test_an_order_that_cannot_be_kept_is_not_acknowledged(site: Site, desk: Desk) -> None:
    """The controller asks again."""
    site.file.with_name("gate.json.draft").mkdir()
    status, told = asked(desk, "/drain", site.order("drain", 1))
    assert status == 503
    assert "the gate cannot be written down" in str(told)


def test_the_word_lets_the_pods_own_processes_close_the_gate(site: Site, desk: Desk) -> None:
    """It is in the gate's folder, which others cannot read; the gate of the next process is open again."""
    word = json.loads((site.place.folder / "leave.json").read_text())["word"]
    assert asked(desk, "/leave", method="POST", bearer=f"Bearer {word}x")[0] == 403
    assert asked(desk, "/leave", method="POST", bearer="Bearer \udcff")[0] == 403  # a byte that is no UTF-8
    assert asked(desk, "/leave", method="POST")[0] == 403
    assert desk.gate.activity().accepting
    assert asked(desk, "/leave", method="POST", bearer=f"Bearer {word}")[0] == 200
    assert not desk.gate.activity().accepting


def test_five_paths_are_the_gates_and_all_others_the_agents() -> None:
    """Whatever serves HTTP beside the agent asks this of every request."""
    paths = ("/activity", "/metrics", "/drain", "/resume", "/leave", "/", "/drain/", "/activity/1")
    assert [ours(path) for path in paths] == [True] * 5 + [False] * 3


def test_a_route_takes_its_own_method_and_no_long_body(site: Site, desk: Desk) -> None:
    """The answer says what it takes."""
    reply = desk.answer(Question("GET", "/drain"))
    assert (reply.status, reply.headers["Allow"]) == (405, "POST")
    assert desk.answer(Question("POST", "/activity")).status == 405
    assert desk.answer(Question("HEAD", "/activity")).status == 200
    assert desk.answer(Question("POST", "/drain", b" " * (LARGEST + 1))).status == 413


def test_metrics_tell_what_activity_tells(site: Site, desk: Desk) -> None:
    """In Prometheus's format, every one of them with its help and type, and no other."""
    desk.gate.add_tokens(tokens_in=100, tokens_out=7)
    site.clock.at += 12.5
    idle = {sample.name + str(sample.labels): sample.value for sample in samples(desk)}
    task = desk.gate.task().begin()
    site.clock.at += 30
    busy = {sample.name + str(sample.labels): sample.value for sample in samples(desk)}
    assert (idle["agent_gate_idle_seconds{}"], busy["agent_gate_idle_seconds{}"]) == (12.5, 0)
    assert (busy["agent_gate_inflight{}"], busy["agent_gate_oldest_task_seconds{}"]) == (1, 30)
    assert busy["agent_gate_tokens_total{'direction': 'in'}"] == 100
    assert (busy["agent_gate_phase{'phase': 'active'}"], busy["agent_gate_phase{'phase': 'drained'}"]) == (1, 0)
    desk.gate.drain(1)
    task.end()
    drained = {sample.name + str(sample.labels): sample.value for sample in samples(desk)}
    assert (drained["agent_gate_phase{'phase': 'drained'}"], drained["agent_gate_accepting{}"]) == (1, 0)
    assert site.clock.at > NOW


def samples(desk: Desk) -> list[Sample]:
    """The samples of the page, which has exactly the families that are told."""
    families = list(text_string_to_metric_families(desk.answer(Question("GET", "/metrics")).body.decode()))
    names = {f"{family.name}_total" if family.type == "counter" else family.name: family for family in families}
    assert {name: (family.type, family.documentation) for name, family in names.items()} == HELP
    return [sample for family in families for sample in family.samples]


def test_the_page_tells_every_metric_of_the_gate() -> None:
    """Once, with its type and its meaning."""
    page = (ROOT / "docs/gate.md").read_text()
    rows = [f"| `{name}` | {kind} | {meaning} |" for name, (kind, meaning) in HELP.items()]
    assert [row for row in rows if page.count(row) != 1] == []
