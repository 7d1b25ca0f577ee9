"""Pods as columns: what goes in comes out, what was not heard is not believed, and columns fit together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from scaler.core.pods import Activity, Phase, Pod, Pods, Stage
from scaler.core.types import Unknown
from tests.core.pool import LONG_AGO, NOW, busy, draining, idle, starting

FULL = Pod(
    uid="agent-3",
    created_at=LONG_AGO,
    since=LONG_AGO + 30.0,
    stage=Stage.UNREADY,
    phase=Phase.DRAINING,
    activity=Activity(inflight=2, sessions=3, at=NOW),
    ordinal=3,
    epoch=4,
    acked=4,
)


def test_pods_come_out_as_they_went_in() -> None:
    """Columns are a way to hold pods, not a lossy view of them."""
    pods = [FULL, busy("a"), idle("b"), draining(busy("c"))]
    assert list(Pods.of(pods)) == pods
    assert len(Pods.of([])) == 0


def test_a_pod_that_was_never_heard_comes_out_unknown() -> None:
    """Its counts are no zeros."""
    (pod,) = Pods.of([starting("a")])
    assert pod.activity == Unknown("the pod has not been heard")


@pytest.mark.parametrize(
    ("age", "believed"),
    [(0.0, True), (15.0, True), (15.1, False)],
    ids=["AWordOfNowIsBelieved", "AWordOfThreeScrapesToo", "AnOlderOneIsNot"],
)
def test_a_pod_is_believed_while_its_word_is_fresh(age: float, believed: bool) -> None:
    """Each row: how old what the pod last said is, and whether it still counts."""
    pods = Pods.of([busy("a"), starting("b")])
    assert pods.known(NOW + age, 15.0).tolist() == [believed, False]


def test_a_uid_names_one_pod() -> None:
    """Orders go by uid, so two pods that share one are refused."""
    with pytest.raises(ValueError, match="two pods share a uid"):
        Pods.of([busy("a"), idle("a")])


def test_columns_of_different_lengths_are_refused() -> None:
    """The error names the column, so that whoever wrote the record finds it."""
    with pytest.raises(ValueError, match="inflight has 1 entries for 2 pods"):
        replace(Pods.of([busy("a"), idle("b")]), inflight=np.zeros(1, dtype=np.int64))


def test_others_that_may_exist_stand_beside_those_that_are_listed() -> None:
    """Nothing is known of them, so they are neither idle nor believed, and every listed pod is as it was."""
    pods = Pods.of([FULL, busy("a")]).beside(["x", "y"])
    assert pods.uids == ("agent-3", "a", "x", "y")
    assert list(pods)[:2] == [FULL, busy("a")]
    assert pods.known(NOW, 15.0).tolist() == [True, True, False, False]
    assert [pod.stage for pod in pods][2:] == [Stage.READY, Stage.READY]
