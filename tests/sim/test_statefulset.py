"""What a StatefulSet's controller does in one look, as stateful_set_control.go has it (Kubernetes 1.29 and later)."""

from __future__ import annotations

import pytest

from scaler.sim.statefulset import Member, Step, ordered, parallel

UP, STARTING, GOING = Member(ready=True), Member(ready=False), Member(ready=True, leaving=True)


@pytest.mark.parametrize(
    ("members", "replicas", "step"),
    [
        ({}, 3, Step(start=(0,))),
        ({0: STARTING}, 3, Step()),
        ({0: UP}, 3, Step(start=(1,))),
        ({0: UP, 2: UP}, 3, Step(start=(1,))),
        ({0: UP, 1: UP, 2: UP}, 3, Step()),
        ({0: UP, 1: UP, 2: UP}, 1, Step(delete=(2,))),
        ({0: UP, 1: UP, 2: GOING}, 1, Step()),
        ({0: STARTING, 1: UP, 2: UP}, 1, Step()),
        ({0: GOING, 1: UP}, 1, Step()),
        ({0: UP, 1: STARTING, 2: UP}, 1, Step(delete=(2,))),
        ({0: UP, 1: STARTING, 2: STARTING}, 1, Step()),
        ({0: UP, 1: UP, 2: STARTING}, 1, Step(delete=(2,))),
        ({0: UP, 1: UP}, 0, Step(delete=(1,))),
    ],
    ids=[
        *("the first", "waits for it", "the next", "a hole first", "settled", "from the top", "one at a time"),
        *(
            "an unready pod below freezes falls",
            "a pod that goes freezes falls",
            "a ready pod above an unready one goes",
        ),
        *("an unready pod above another does not go", "the lowest unready one goes", "to zero"),
    ],
)
def test_an_ordered_set_takes_one_step_at_a_time(members: dict[int, Member], replicas: int, step: Step) -> None:
    """And the healthy come before the condemned."""
    assert ordered(members, replicas) == step


@pytest.mark.parametrize(
    ("members", "replicas", "step"),
    [
        ({}, 3, Step(start=(0, 1, 2))),
        ({0: STARTING, 2: UP}, 3, Step(start=(1,))),
        ({0: UP, 1: GOING}, 2, Step()),
        (dict.fromkeys(range(5), UP), 1, Step(delete=(4, 3, 2, 1))),
        ({0: STARTING, 1: STARTING, 2: GOING, 3: UP}, 1, Step(delete=(3, 1))),
    ],
    ids=["all at once", "a hole", "a name is free when its pod is gone", "from the top", "whoever is ready"],
)
def test_a_parallel_set_does_everything_at_once(members: dict[int, Member], replicas: int, step: Step) -> None:
    """Highest first, whoever is ready."""
    assert parallel(members, replicas) == step


def test_deletions_come_in_batches_that_double() -> None:
    """So that a denied top ordinal stops all that is below it."""
    assert list(Step(delete=(9, 8, 7, 6, 5, 4)).batches()) == [(9,), (8, 7), (6, 5, 4)]
