"""What the fleet remembers of itself is what its columns say, whatever was written last."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from scaler.core.pods import Phase, Stage
from scaler.sim.fleet import NO_NODE, Fleet

Step = tuple[str, int]
NAMES = ("add", "add without a node", "place", "become_ready", "label", "acknowledge", "leave", "drop")
FOR = {"place": True, "become_ready": False}  # what happens only to a pod without a node, or only to one with it
STEPS = st.lists(st.tuples(st.sampled_from(NAMES), st.integers(0, 3)), min_size=10, max_size=40)


def write(fleet: Fleet, step: Step, now: float) -> None:
    """One thing happens to one pod, if there is a pod."""
    name, which = step
    if name.startswith("add"):
        fleet.add(f"pod-{now:.0f}", fleet.lowest_free(), now=now, node=NO_NODE if name != "add" else which)
        return
    without = fleet.node == NO_NODE
    rows = [row for row in fleet.rows().tolist() if name not in FOR or without[row] == FOR[name]]
    if rows:
        row = rows[which % len(rows)]
        arguments = {"place": (which,), "become_ready": (now,), "label": (Phase.DRAINING, which)}
        getattr(fleet, name)(row, *arguments.get(name, ()))


@given(STEPS)
def test_who_stays_and_in_which_stage_follows_from_the_columns(steps: list[Step]) -> None:
    """Who asks after each write and who asks only once are told the same, and what the columns say."""
    asked, silent = Fleet(), Fleet()
    for now, step in enumerate(steps):
        for fleet in (asked, silent):
            write(fleet, step, float(now))
        asked.stays(), asked.names(), asked.ready()
    rows = [row for row in silent.rows().tolist() if not silent.leaving[row]]
    for fleet in (asked, silent):
        assert fleet.stays().tolist() == rows
        assert list(fleet.names()) == [fleet.uid(row) for row in rows]
        assert fleet.ready().tolist() == [not math.isnan(fleet.ready_at[row]) for row in rows]
        assert [(fleet.stage[row], fleet.since[row]) for row in rows] == [stood(fleet, row) for row in rows]


def stood(fleet: Fleet, row: int) -> tuple[Stage, float]:
    """A pod's stage and since when, from when it was created and ready and whether it has a node."""
    if not math.isnan(fleet.ready_at[row]):
        return Stage.READY, fleet.ready_at[row]
    return Stage.PENDING if fleet.node[row] == NO_NODE else Stage.STARTING, fleet.created_at[row]


def test_the_same_pods_have_the_same_names_until_others_stay() -> None:
    """The very tuple, so that who compares it need not read it."""
    fleet = Fleet()
    fleet.add("a", 0, now=0.0, node=1)
    names = fleet.names()
    fleet.become_ready(0, 1.0)
    fleet.label(0, Phase.DRAINING, 1)
    assert fleet.names() is names
    fleet.leave(0)
    assert fleet.names() == ()
