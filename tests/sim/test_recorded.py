"""The simulator's controllers decide as the real ones did, decision by decision.

What they decided is in ``recorded/``, written by ``python -m tests.cluster.record`` on a real kube-controller-manager.
"""

from __future__ import annotations

import pytest

from tests.support.recorded import hpa, replicaset, statefulset
from tests.support.recorded.lines import FOLDER, read

_, HPAS = read(FOLDER / "hpa.jsonl", hpa.Story)
_, REPLICASETS = read(FOLDER / "replicaset.jsonl", replicaset.Story)
_, STATEFULSETS = read(FOLDER / "statefulset.jsonl", statefulset.Story)


@pytest.mark.parametrize("story", HPAS, ids=lambda story: story.name)
def test_the_hpa_is_as_recorded(story: hpa.Story) -> None:
    """Every number that the real HPA wrote, from what it had seen, with the model's own memory of all before."""
    assert [*hpa.disagreements(story)] == []


@pytest.mark.parametrize("story", REPLICASETS, ids=lambda story: story.name)
def test_victims_are_as_recorded(story: replicaset.Story) -> None:
    """The pods that the real ReplicaSet controller deleted are those that the model gives up."""
    assert [*replicaset.disagreements(story)] == []


@pytest.mark.parametrize("story", STATEFULSETS, ids=lambda story: story.name)
def test_statefulsets_are_as_recorded(story: statefulset.Story) -> None:
    """Pods are started and deleted in the order in which the real StatefulSet controller did so."""
    assert [*statefulset.disagreements(story)] == []


def test_enough_was_recorded() -> None:
    """The recordings are whole: more than 150 decisions on metrics, and every control that the models have."""
    asked = [sync for story in HPAS for sync in story.syncs if {*sync.said} != {None} and sync.said]
    assert len(asked) >= 150
    assert {wanted.kind for story in HPAS for wanted in story.metrics} == {*hpa.Kind}
    assert sum(pod.gone for story in REPLICASETS for pod in story.pods) >= 50
    assert {(story.parallel, story.lingers) for story in STATEFULSETS} == {
        (p, k) for p in (True, False) for k in (True, False)
    }
