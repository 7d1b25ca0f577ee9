"""What orders write: whatever has become of the pod meanwhile, a patch does what the core would do, or nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.controller.facts import pod
from scaler.controller.names import (
    ASKED_BY,
    DELETION_COST,
    DO_NOT_DISRUPT,
    EPOCH,
    GUARD,
    LOWEST_COST,
    MANAGED,
    PHASE,
    POOL,
    SAFE_TO_EVICT,
    SINCE,
)
from scaler.controller.patches import Asked, UnfitError, adopted, patch
from scaler.core.drain import IllegalOrderError, carry
from scaler.core.pods import Phase, Pod
from scaler.core.types import Order, Unknown, Verb
from tests.controller.objects import Object, RefusedError, a_pod, applied, pod_object

DATED = "2026-11-21T12:00:00Z"
ASKED = Asked("node/node-a", 1_795_262_400.0)  # that instant, to the second
LABELLED = st.fixed_dictionaries(
    {"app": st.just("coder")}, optional={PHASE: st.sampled_from(["active", "draining", "drained"])}
)
NOTED = st.none() | st.fixed_dictionaries(
    {},
    optional={
        EPOCH: st.integers(1, 4).map(str),
        ASKED_BY: st.sampled_from(["pool", "owner", "node/node-a"]),
        SINCE: st.sampled_from([DATED, "nonsense"]),
        DO_NOT_DISRUPT: st.just("true"),
        SAFE_TO_EVICT: st.just("false"),
        "note": st.just("of somebody's"),
    },
)


@st.composite
def objects(draw: st.DrawFn) -> Object:
    """A pod in any state that it may be met in."""
    noted = draw(NOTED)
    more: Object = {"annotations": noted} if noted else {}  # an API server never shows an empty map
    return pod_object(uid=draw(st.sampled_from(["uid-1", "uid-2"])), labels=draw(LABELLED), **more)


ORDERS = st.builds(
    Order,
    st.sampled_from([Verb.MARK, Verb.COMMIT, Verb.CANCEL]),
    st.sampled_from(["uid-1", "uid-2"]),
    st.integers(0, 5),
)


def as_core(found: Object) -> Pod:
    """The pod as the core's protocol knows it, its drain acknowledged."""
    facts = pod(found)
    return Pod(
        uid=facts.uid,
        created_at=0.0,
        since=0.0,
        phase=facts.phase,
        activity=Unknown("nobody asked"),
        epoch=facts.epoch or 0,
        acked=facts.epoch or 0,
        displaced=True,
        for_node=facts.for_node,
    )


@given(known=objects(), now=objects(), order=ORDERS)
def test_a_patch_does_what_the_core_says_or_nothing(known: Object, now: Object, order: Order) -> None:
    """Made from what was known, applied to what there is: the two agree with the core's own table, or it is refused."""
    order = replace(order, uid=known["metadata"]["uid"])
    try:
        operations = patch(pod(known), order, ASKED)
    except UnfitError:
        return
    try:
        after = applied(now, operations)
    except RefusedError:
        return
    core = carry(as_core(now), order)
    assert core is not None
    found = pod(after)
    assert (found.uid, found.phase, found.epoch) == (order.uid, core.phase, core.epoch)
    assert found.for_node == (core.for_node and core.phase is not Phase.ACTIVE)


@given(known=objects(), order=ORDERS)
def test_what_the_core_allows_is_written(known: Object, order: Order) -> None:
    """No legal order is lost on the way, whatever labels and annotations the pod has or lacks."""
    try:
        core = carry(as_core(known), order)
    except IllegalOrderError:
        return
    if order.verb is Verb.COMMIT and pod(known).epoch is None:
        return  # nobody marked it: its label is another's
    assert core is not None
    found = pod(applied(known, patch(pod(known), order, ASKED)))
    assert (found.phase, found.epoch) == (core.phase, core.epoch)


@given(known=objects(), now=objects(), order=ORDERS)
def test_what_is_drained_stays_drained(known: Object, now: Object, order: Order) -> None:
    """No patch of ours takes a release back."""
    if pod(now).phase is not Phase.DRAINED:
        return
    try:
        after = applied(now, patch(pod(known), replace(order, uid=known["metadata"]["uid"]), ASKED))
    except (UnfitError, RefusedError):
        return
    assert pod(after).phase is Phase.DRAINED


def test_a_commit_unpins_the_node_and_makes_the_pod_first_to_go() -> None:
    """Left on, the annotations would keep its node for ever; and without the cost its ReplicaSet picks others."""
    known = pod_object(
        labels={"app": "coder", PHASE: "draining"},
        annotations={EPOCH: "3", DO_NOT_DISRUPT: "true", SAFE_TO_EVICT: "false", "note": "kept"},
    )
    after = applied(known, patch(pod(known), Order(Verb.COMMIT, "uid-coder-1", 3), ASKED))
    assert after["metadata"]["annotations"] == {EPOCH: "3", DELETION_COST: LOWEST_COST, "note": "kept"}


def test_a_mark_says_who_asked_and_since_when_until_it_is_called_back() -> None:
    """For people, and for whoever leads next."""
    active = pod_object(annotations={"note": "kept"})
    marked = applied(active, patch(pod(active), Order(Verb.MARK, "uid-coder-1", 1), ASKED))
    assert (pod(marked).asked_by, pod(marked).asked_at, pod(marked).for_node) == (ASKED.by, ASKED.at, True)
    assert marked["metadata"]["annotations"] == {EPOCH: "1", ASKED_BY: ASKED.by, SINCE: DATED, "note": "kept"}
    back = applied(marked, patch(pod(marked), Order(Verb.CANCEL, "uid-coder-1", 2), ASKED))
    assert back["metadata"]["annotations"] == {EPOCH: "2", "note": "kept"}


def test_a_call_back_takes_off_only_what_is_there() -> None:
    """A removal of what is not would have the whole patch refused, and the pod would drain for ever."""
    bare = pod_object(labels={"app": "coder", PHASE: "draining"}, annotations={EPOCH: "1", "note": "kept"})
    back = applied(bare, patch(pod(bare), Order(Verb.CANCEL, "uid-coder-1", 2), ASKED))
    assert back["metadata"]["annotations"] == {EPOCH: "2", "note": "kept"}


def test_a_stranger_is_adopted_by_what_it_lacks() -> None:
    """Once; and a pool that only audits says so on pods that were there before."""
    stranger = a_pod()
    assert adopted(stranger, "coder", "deny") == {
        "metadata": {"uid": stranger.uid, "labels": {MANAGED: "true", POOL: "coder"}}
    }
    ours = a_pod(labels={"app": "coder", MANAGED: "true", POOL: "coder"})
    assert adopted(ours, "coder", "deny") is None
    assert adopted(a_pod(labels={MANAGED: "true", POOL: "coder", GUARD: "deny"}), "coder", "deny") is None
    assert adopted(ours, "coder", "audit") == {"metadata": {"uid": ours.uid, "labels": {GUARD: "audit"}}}


@pytest.mark.parametrize("verb", [Verb.CLOSE, Verb.DELETE])
def test_what_is_told_or_deleted_is_no_patch(verb: Verb) -> None:
    """Closing is the agent's affair, and a deletion the API server's."""
    with pytest.raises(UnfitError):
        patch(a_pod(labels={"app": "coder", PHASE: "draining"}), Order(verb, "uid-coder-1", 0), ASKED)
