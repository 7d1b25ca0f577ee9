"""The drain protocol, model-checked: every state that leaders, agents and a slow network can reach.

Any number of leaders give any order at any time, old ones among them; what is not legal is refused. Messages between
controller and agent arrive late, again or never. The agent works whenever its gate is open.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

import pytest

from scaler.core import drain
from scaler.core.drain import IllegalOrderError
from scaler.core.pods import NO_ACK, Phase, Pod, Stage
from scaler.core.types import Order, Unknown, Verb

EPOCHS = range(7)
LEGAL = {
    (Phase.ACTIVE, Verb.MARK): (Phase.DRAINING, 1),
    (Phase.DRAINING, Verb.CLOSE): (Phase.DRAINING, 0),
    (Phase.DRAINING, Verb.COMMIT): (Phase.DRAINED, 0),
    (Phase.DRAINING, Verb.CANCEL): (Phase.ACTIVE, 1),
    (Phase.DRAINED, Verb.DELETE): (None, 0),
}
SEEN = Pod(uid="agent", created_at=0.0, since=0.0, stage=Stage.READY, activity=Unknown("not asked"))


@dataclass(frozen=True, slots=True)
class Message:
    """A word on its way: to the agent ``close`` or ``open`` its gate, from it that it is idle behind a closed one."""

    word: str
    epoch: int


@dataclass(frozen=True, slots=True)
class World:
    """The pod's labels (None once it is deleted), its agent, and the messages on their way."""

    pod: Pod | None = SEEN
    closed: bool = False
    heard: int = 0
    busy: bool = False
    mail: frozenset[Message] = frozenset()

    def moves(self) -> Iterator[World]:
        """Everything that can happen next."""
        if self.pod is not None:
            yield from self._led(self.pod)
            yield from self._worked()
            yield from (self._delivered(self.pod, message) for message in self.mail)

    def _led(self, pod: Pod) -> Iterator[World]:
        """Some leader's order."""
        for verb, epoch in product(Verb, EPOCHS):
            with contextlib.suppress(IllegalOrderError):
                after = drain.carry(pod, Order(verb, pod.uid, epoch))
                word = {Verb.CLOSE: "close", Verb.CANCEL: "open"}.get(verb)
                yield replace(self, pod=after, mail=self.mail | ({Message(word, epoch)} if word else set()))

    def _worked(self) -> Iterator[World]:
        """The agent starts or ends a task, or says that it is idle behind its gate."""
        if self.busy or not self.closed:
            yield replace(self, busy=not self.busy)
        if self.closed and not self.busy:
            yield replace(self, mail=self.mail | {Message("idle", self.heard)})

    def _delivered(self, pod: Pod, message: Message) -> World:
        """A message arrives, and may do so again. The agent obeys no order older than the last it heard."""
        if message.word == "idle":
            return replace(self, pod=drain.acknowledge(pod, message.epoch))
        if message.epoch < self.heard:
            return self
        return replace(self, heard=message.epoch, closed=message.word == "close")


def explored() -> tuple[set[World], set[tuple[World, World]]]:
    """Every world that can be reached, and every step between two."""
    found, fresh, steps = {World()}, [World()], set()
    while fresh:
        world = fresh.pop()
        for after in world.moves():
            steps.add((world, after))
            if after not in found:
                found.add(after)
                fresh.append(after)
    return found, steps


@pytest.fixture(scope="module")
def reached() -> tuple[set[World], set[tuple[World, World]]]:
    """All of them, worked out once."""
    return explored()


@pytest.fixture
def worlds(reached: tuple[set[World], set[tuple[World, World]]]) -> set[World]:
    """Every world that can be reached."""
    return reached[0]


@pytest.fixture
def steps(reached: tuple[set[World], set[tuple[World, World]]]) -> set[tuple[World, World]]:
    """Every step between two of them."""
    return reached[1]


def test_a_released_pod_never_works(worlds: set[World]) -> None:
    """Drained is idle behind a closed gate, whatever arrives late: nothing runs in it, nothing can start."""
    released = [w for w in worlds if w.pod and w.pod.phase is Phase.DRAINED]
    assert released
    assert not any(w.busy or not w.closed for w in released)


def test_drained_never_reverts(steps: set[tuple[World, World]]) -> None:
    """From drained there is only deletion."""
    after = [new.pod for old, new in steps if old.pod and old.pod.phase is Phase.DRAINED]
    assert after
    assert all(pod is None or pod.phase is Phase.DRAINED for pod in after)


def test_nothing_is_committed_without_the_word_of_its_epoch(steps: set[tuple[World, World]]) -> None:
    """A pod becomes drained only from draining, acknowledged for this very epoch; an older word commits nothing."""
    for old, new in steps:
        if old.pod and new.pod and old.pod.phase is not Phase.DRAINED and new.pod.phase is Phase.DRAINED:
            assert old.pod.phase is Phase.DRAINING
            assert old.pod.acked == old.pod.epoch == new.pod.epoch


def test_nothing_is_deleted_before_it_is_drained(steps: set[tuple[World, World]]) -> None:
    """Only a drained pod goes."""
    assert {old.pod.phase for old, new in steps if old.pod and new.pod is None} == {Phase.DRAINED}


def test_epochs_only_grow(steps: set[tuple[World, World]]) -> None:
    """No step takes an epoch back, so an old order stays old."""
    assert all(old.pod.epoch <= new.pod.epoch <= old.pod.epoch + 1 for old, new in steps if old.pod and new.pod)


def test_a_drain_that_was_called_back_needs_a_new_word(worlds: set[World]) -> None:
    """No active pod holds an acknowledgement that its next drain could use."""
    assert all(w.pod.acked <= w.pod.epoch for w in worlds if w.pod)
    assert any(w.pod.phase is Phase.ACTIVE and w.pod.acked != NO_ACK for w in worlds if w.pod)


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("verb", Verb)
def test_what_is_not_in_the_table_raises_and_changes_nothing(phase: Phase, verb: Verb) -> None:
    """Each verb in each phase, for every epoch and acknowledgement: carried as the table says, or refused."""
    for epoch, acked, uid in product(EPOCHS, (NO_ACK, 1, 2), ("agent", "another")):
        pod = replace(SEEN, phase=phase, epoch=2, acked=acked)
        after, ahead = LEGAL.get((phase, verb), (None, None))
        legal = ahead is not None and epoch == 2 + ahead and uid == "agent"
        if legal and (verb is not Verb.COMMIT or acked == 2):
            expected = None if after is None else replace(pod, phase=after, epoch=epoch)
            assert drain.carry(pod, Order(verb, uid, epoch)) == expected
        else:
            with pytest.raises(IllegalOrderError):
                drain.carry(pod, Order(verb, uid, epoch))
        assert pod == replace(SEEN, phase=phase, epoch=2, acked=acked)


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("epoch", EPOCHS)
def test_an_acknowledgement_counts_for_its_epoch_only(phase: Phase, epoch: int) -> None:
    """The word of a pod that does not drain, or of another drain, is no word."""
    pod = replace(SEEN, phase=phase, epoch=2)
    counts = phase is Phase.DRAINING and epoch == 2
    assert drain.acknowledge(pod, epoch) == (replace(pod, acked=epoch) if counts else pod)
