"""Claimed sandboxes that ask to be guarded: what each needs next, in every state it may be found in."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.controller.feed import Listed, Put
from scaler.controller.sandboxes.facts import claim_of, pod_of, sandbox_of
from scaler.controller.sandboxes.kinds import Kind
from scaler.controller.sandboxes.ledger import Ledger
from scaler.controller.sandboxes.wards import Need, Ward, extended, need, wards
from scaler.controller.sandboxes.world import World
from scaler.core.pods import Phase
from scaler.sources.activity_answer import Report
from tests.controller.objects import a_report
from tests.controller.sandboxed import BORN, Object, claim, named, sandbox, stamp

OWN = ("SandboxClaim", "uid-mine")
ASKS = {"sandbox.users.io/agent-scaler": "guard"}


def guarded(
    name: str = "python-1", *, uid: str = "uid-python-1", owner: tuple[str, str] = OWN, drained: bool = False
) -> Object:
    """A sandbox that asks to be guarded, claimed unless another owner is named."""
    found = sandbox(name, owner=owner, ready=BORN)
    found["metadata"]["uid"] = uid
    found["spec"] = {"podTemplate": {"metadata": {"labels": ASKS}}}
    if drained:
        found["metadata"]["labels"]["agent-scaler.io/phase"] = "drained"
    return found


def pod(
    phase: str = "", *, epoch: str = "", worked: bool = False, managed: bool = True, pooled: bool = False
) -> Object:
    """The sandbox's pod."""
    labels = ASKS | ({"agent-scaler.io/phase": phase} if phase else {})
    labels |= {"agent-scaler.io/managed": "true"} if managed else {}
    labels |= {"agents.x-k8s.io/warm-pool-sandbox": "abc"} if pooled else {}
    notes = ({"agent-scaler.io/drain-epoch": epoch} if epoch else {}) | (
        {"agent-scaler.io/worked": "true"} if worked else {}
    )
    owners = [{"kind": "Sandbox", "uid": "uid-python-1", "controller": True}]
    metadata = named("python-1", BORN, uid="uid-pod", labels=labels, annotations=notes or None, ownerReferences=owners)
    return {"kind": "Pod", "metadata": metadata, "spec": {}, "status": {"podIP": "127.64.0.1"}}


def ward(found: Object, *, drained: bool = False, claim_drained: bool = False) -> Ward:
    """The ward of this pod."""
    labels = {"agent-scaler.io/phase": "drained"} if claim_drained else None
    return Ward(sandbox_of(guarded(drained=drained)), pod_of(found), claim_of(claim(labels=labels)))


IDLE = a_report("uid-pod")
BUSY = replace(IDLE, inflight=1)
TALKS = replace(IDLE, sessions=1)
SHUT = replace(IDLE, phase=Phase.DRAINED, epoch=1, acked=1)


@pytest.mark.parametrize(
    ("found", "heard", "needed"),
    [
        (pod(), IDLE, Need.NOTHING),  # nobody has called it yet
        (pod(), BUSY, Need.NOTE),
        (pod(), TALKS, Need.NOTE),
        (pod(worked=True), BUSY, Need.NOTHING),
        (pod(worked=True), TALKS, Need.NOTHING),  # its session is held
        (pod(worked=True), None, Need.NOTHING),  # not heard is busy
        (pod(worked=True), IDLE, Need.MARK),
        (pod("draining", epoch="1", worked=True), IDLE, Need.CLOSE),
        (pod("draining", epoch="1", worked=True), None, Need.CLOSE),  # closing asks it again
        (pod("active", epoch="2", worked=True), SHUT, Need.REOPEN),  # called back by one who ended before telling it
        (pod("drained", epoch="1", worked=True), SHUT, Need.FREE),
        (pod("drained", epoch="1"), None, Need.FREE),
        (pod("released", worked=True), BUSY, Need.NOTHING),  # a word of nobody's is no release
    ],
)
def test_what_a_ward_needs_follows_from_its_labels_and_its_agent(
    found: Object, heard: Report | None, needed: Need
) -> None:
    """So whoever leads next goes on where the one before it ended."""
    assert need(ward(found), heard) is needed


def test_one_that_was_not_used_for_long_is_released_unless_it_works_or_is_not_heard() -> None:
    """As one that has worked."""
    for heard, needed in ((IDLE, Need.MARK), (BUSY, Need.NOTE), (TALKS, Need.NOTE), (None, Need.NOTHING)):
        assert need(ward(pod()), heard, unused=True) is needed


def test_a_drained_ward_needs_nothing_once_its_sandbox_and_its_claim_are_free() -> None:
    """Both, for the guard sits before both."""
    found = pod("drained", epoch="1")
    assert need(ward(found, drained=True), None) is Need.FREE
    assert need(ward(found, drained=True, claim_drained=True), None) is Need.NOTHING
    orphan = replace(ward(found, drained=True), claim=None)
    assert need(orphan, None) is Need.NOTHING


@given(
    st.builds(pod, st.sampled_from(["", "active"]), epoch=st.sampled_from(["", "1"]), worked=st.booleans()),
    st.sampled_from([BUSY, TALKS, None]),
    st.booleans(),
)
def test_no_ward_that_works_or_is_not_heard_is_ever_taken_towards_its_end(
    found: Object, heard: Report | None, unused: bool
) -> None:
    """Whatever else is so."""
    assert need(ward(found), heard, unused=unused) in {Need.NOTHING, Need.NOTE}


def test_a_ward_is_a_sandbox_that_asks_that_was_claimed_and_whose_pod_is_its_own() -> None:
    """One in its pool is nobody's work yet, and one that does not ask is none of our business."""
    world = World(Ledger(BORN))
    assert list(wards(world)) == []  # nothing was listed
    for kind in Kind:
        world.take(kind, Listed(frozenset()), BORN)
    world.take(Kind.POD, Put(pod()), BORN)
    assert list(wards(world)) == []
    world.take(Kind.SANDBOX, Put(guarded()), BORN)
    assert [found.facts.name for found in wards(world)] == ["python-1"]
    world.take(Kind.SANDBOX, Put(sandbox(owner=OWN)), BORN)
    assert list(wards(world)) == []  # does not ask
    world.take(Kind.SANDBOX, Put(guarded(owner=("SandboxWarmPool", "uid-python"))), BORN)
    assert list(wards(world)) == []  # in its pool
    world.take(Kind.SANDBOX, Put(guarded("python-1", uid="another")), BORN)
    assert list(wards(world)) == []  # the pod is another sandbox's


@pytest.mark.parametrize(
    ("left", "heard", "later"),
    [
        (30.0, BUSY, BORN + 300),
        (30.0, TALKS, BORN + 300),
        (200.0, BUSY, None),  # there is time
        (30.0, IDLE, None),
        (30.0, None, None),  # nobody knows that it works, and nothing lives for ever on a guess
    ],
)
def test_the_expiry_of_a_claim_is_pushed_ahead_of_its_work(
    left: float, heard: Report | None, later: float | None
) -> None:
    """And of nothing else."""
    found = claim_of(claim(spec={"lifecycle": {"shutdownTime": stamp(BORN + left)}}))
    assert extended(found, heard, 300.0, BORN) == (None if later is None else stamp(later))


@pytest.mark.parametrize("word", ["", "tomorrow"])
def test_a_claim_that_does_not_expire_is_left_alone(word: str) -> None:
    """So is one whose expiry cannot be read."""
    found = claim_of(claim(spec={"lifecycle": {"shutdownTime": word}}))
    assert extended(found, BUSY, 300.0, BORN) is None
