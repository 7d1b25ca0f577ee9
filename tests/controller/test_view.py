"""Pods as the decision sees them: labels from the API server, work from the agents, and silence is work."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pytest

from scaler.controller.facts import PodFacts
from scaler.controller.names import EPOCH, PHASE
from scaler.controller.view import Beside, columns, stage
from scaler.core.pods import NO_ACK, NO_ORDINAL, Phase, Stage
from scaler.sources.activity_answer import Report
from tests.controller.objects import a_pod, a_report

NOW = 1_795_262_500.0


def seen(pods: list[PodFacts], heard: Mapping[str, Report]) -> list[tuple[Phase, int, int, bool]]:
    """Of each pod the phase, the epoch, what it acknowledged, and whether it was heard."""
    found = columns(pods, heard, Beside(), NOW)
    return [(pod.phase, pod.epoch, pod.acked, not math.isnan(found.seen_at[i])) for i, pod in enumerate(found)]


def test_phase_and_epoch_are_the_labels_and_the_rest_is_the_agents_word() -> None:
    """A leader that takes over sees what the one before it saw."""
    pods = [a_pod("a", labels={PHASE: "draining"}, annotations={EPOCH: "5"}), a_pod("b")]
    heard = {"uid-a": a_report("uid-a", acked=5)}
    assert seen(pods, heard) == [(Phase.DRAINING, 5, 5, True), (Phase.ACTIVE, 0, NO_ACK, False)]


def test_who_is_silent_is_known_to_nobody() -> None:
    """Its counts are not zero: they are not there."""
    found = columns([a_pod("a"), a_pod("b")], {"uid-a": a_report("uid-a", inflight=2, sessions=1)}, Beside(), NOW)
    assert found.known(NOW, 15.0).tolist() == [True, False]
    assert (found.inflight.tolist(), found.sessions.tolist()) == ([2, 0], [1, 0])


def test_ordinals_are_counted_from_the_first() -> None:
    """A StatefulSet that starts at 5 loses its pod 7 before its pod 6; a Deployment's pods have none."""
    pods = [a_pod(name, owner="set", owner_kind="StatefulSet") for name in ("coder-5", "coder-7")] + [a_pod("other")]
    assert columns(pods, {}, Beside(first=5), NOW).ordinal.tolist() == [0, 2, NO_ORDINAL]


def test_who_is_asked_away_is_displaced() -> None:
    """Whatever it does, and whether it was heard or not."""
    assert columns([a_pod("a"), a_pod("b")], {}, Beside(displaced={"uid-b"}), NOW).displaced.tolist() == [False, True]


@pytest.mark.parametrize(
    ("pod", "said", "was", "expected"),
    [
        (a_pod(), None, False, Stage.READY),
        (a_pod(), a_report("uid-coder-1"), False, Stage.READY),
        (a_pod(), a_report("uid-coder-1", ready=False), False, Stage.STARTING),
        (a_pod(), a_report("uid-coder-1", ready=False), True, Stage.UNREADY),
        (a_pod(ready="False"), None, False, Stage.STARTING),
        (a_pod(ready="False"), a_report("uid-coder-1"), True, Stage.UNREADY),
        (a_pod(ready="False", node=""), None, False, Stage.PENDING),
    ],
)
def test_a_pod_is_ready_when_the_kubelet_and_its_agent_say_so(
    pod: PodFacts, said: Report | None, *, was: bool, expected: Stage
) -> None:
    """An agent may say that it is not ready yet; that it is, only the kubelet can say."""
    assert stage(pod, said, was=was) is expected
