"""The gate's laws, over any order of tasks, claims, sessions, orders, lapses of time and restarts.

- Nothing begins after an acknowledgement, until a newer order opens the gate.
- It is acknowledged only while the gate is closed and nothing is open.
- The epoch never falls, restarts included, and a restarted gate is as closed as it was.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from scaler.agent.book import GateClosedError
from scaler.agent.gate import Done, Stale
from scaler.agent.handles import Claim, Session, Task
from tests.agent.material import Site

EPOCHS = st.integers(min_value=0, max_value=12)
PICK = st.integers(min_value=0)


class GateLaws(RuleBasedStateMachine):
    """What really is open and what was ordered, beside a gate that must agree.

    Attributes:
        running: tasks that have begun, and not ended.
        last: the last order that was carried out: whether it opened, and its epoch.
        acked: the epoch that was acknowledged and not called back since.
    """

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.site = Site(self.folder)
        self.gate = self.site.gate()
        self.running: list[Task] = []
        self.claims: list[Claim] = []
        self.sessions: list[Session] = []
        self.last = (True, 0)
        self.acked: int | None = None

    def teardown(self) -> None:
        """Leave no folder."""
        self.gate.close()
        shutil.rmtree(self.folder)

    def begin(self, task: Task | Claim | Session) -> bool:
        """Let it begin if the gate does. Nothing may after an acknowledgement."""
        try:
            task.begin()
        except GateClosedError:
            return False
        assert self.acked is None, f"{type(task).__name__} began after epoch {self.acked} was acknowledged"
        return True

    @rule()
    def a_task_comes(self) -> None:
        """It begins exactly if the gate is open."""
        task = self.gate.task()
        begun = self.begin(task)
        assert begun is self.last[0]
        self.running += [task] if begun else []

    @rule(pick=PICK)
    def a_task_begins_another(self, pick: int) -> None:
        """Which may run on after it."""
        if self.running:
            parent = self.running[pick % len(self.running)]
            task = parent.another()
            if self.begin(task):
                self.running.append(task)

    @rule(pick=PICK)
    def a_task_ends(self, pick: int) -> None:
        """Any of those that run."""
        if self.running:
            self.running.pop(pick % len(self.running)).end()

    @rule()
    def a_consumer_claims(self) -> None:
        """It is about to fetch."""
        claim = self.gate.claim()
        if self.begin(claim):
            self.claims.append(claim)

    @rule(pick=PICK, found=st.booleans())
    def a_consumer_fetches(self, pick: int, *, found: bool) -> None:
        """What it finds is never refused, for the claim was let in."""
        if self.claims:
            claim = self.claims.pop(pick % len(self.claims))
            if found:
                task = claim.task()
                assert self.begin(task)
                self.running.append(task)
            claim.end()

    @rule(ttl=st.sampled_from([5.0, 50.0]))
    def a_session_begins(self, ttl: float) -> None:
        """It may be over before anything else happens."""
        session = self.gate.session(ttl)
        if self.begin(session):
            self.sessions.append(session)

    @rule(pick=PICK)
    def a_session_goes_on(self, pick: int) -> None:
        """With its next task, where it is not over."""
        if self.sessions:
            task = self.sessions[pick % len(self.sessions)].task()
            if self.begin(task):
                self.running.append(task)

    @rule(pick=PICK)
    def a_session_ends(self, pick: int) -> None:
        """Before its time."""
        if self.sessions:
            self.sessions.pop(pick % len(self.sessions)).end()

    @rule(seconds=st.sampled_from([1.0, 10.0, 100.0]))
    def time_passes(self, seconds: float) -> None:
        """Sessions run out."""
        self.site.clock.at += seconds

    @rule(epoch=EPOCHS)
    def a_drain_comes(self, epoch: int) -> None:
        """It is carried out if it is newer, or the same once more."""
        valid = epoch > self.last[1] or self.last == (False, epoch)
        outcome = self.gate.drain(epoch)
        assert isinstance(outcome, Done if valid else Stale)
        if valid:
            self.last = (False, epoch)

    @rule(epoch=EPOCHS)
    def a_resumption_comes(self, epoch: int) -> None:
        """It is carried out if it is newer, or the same once more."""
        valid = epoch > self.last[1] or self.last == (True, epoch)
        outcome = self.gate.resume(epoch)
        assert isinstance(outcome, Done if valid else Stale)
        if valid:
            self.last, self.acked = (True, epoch), None

    @rule()
    def the_process_is_restarted(self) -> None:
        """What ran in it is lost; the gate is not."""
        self.gate.close()
        self.gate = self.site.gate()
        self.running, self.claims, self.sessions = [], [], []

    @invariant()
    def it_tells_what_is_so(self) -> None:
        """Phase, epoch and count are those of the model, and an acknowledgement is true."""
        seen = self.gate.activity()
        assert (seen.open, seen.epoch) == self.last
        assert seen.accepting is self.last[0]
        assert seen.inflight == len(self.running) + (0 if self.last[0] else len(self.claims))
        if seen.acked:
            assert (seen.open, self.running, self.claims, seen.sessions) == (False, [], [], 0)
            self.acked = seen.epoch
        elif self.acked is not None:
            raise AssertionError(f"epoch {self.acked} was acknowledged and is no more")


TestGateLaws = GateLaws.TestCase
TestGateLaws.settings = settings(max_examples=60, stateful_step_count=40)
