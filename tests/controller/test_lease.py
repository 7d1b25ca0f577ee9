"""The Lease: never two who lead, whatever clocks, network and processes do; and soon one who does, when they behave."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from scaler.controller.lease import DRIFT, Candidate, Record, Timing
from tests.controller.election import Election, Process
from tests.properties.effort import tries

RATES = st.floats(1 - DRIFT, 1 + DRIFT)
OFFSETS = st.floats(-1e6, 1e6)
TIMING = Timing()
SLOWEST = 1 / (1 - DRIFT)


class Elections(RuleBasedStateMachine):
    """Three candidates. Each rule is something that happens to one of them, to a message, or to the Lease."""

    @initialize(rates=st.tuples(RATES, RATES, RATES), offsets=st.tuples(OFFSETS, OFFSETS, OFFSETS), there=st.booleans())
    def start(self, rates: tuple[float, ...], offsets: tuple[float, ...], *, there: bool) -> None:
        """Candidates that know nothing, before a Lease that nobody has held or none at all."""
        self.names = (f"process-{i}" for i in itertools.count())
        pairs = zip(rates, offsets, strict=True)
        self.election = Election([Process(self.fresh(), offset, rate) for rate, offset in pairs])
        if there:
            self.election.server.record = Record(version="0", holder="", epoch=0, lasts=15.0)
        self.epochs: dict[str, int] = {}
        self.deleted = False

    def fresh(self) -> Candidate:
        """A candidate with a name that nobody had."""
        return Candidate(name=next(self.names), timing=TIMING)

    @rule(which=st.integers(0, 2))
    def act(self, which: int) -> None:
        """A process that waits for nothing begins its next call; one that is frozen is one this does not happen to."""
        self.election.begin(self.election.processes[which])

    @rule(which=st.integers(0, 2))
    def act_in_peace(self, which: int) -> None:
        """A process's calls are answered at once."""
        process = self.election.processes[which]
        if process.call is None and not process.ended:
            self.election.round(process)

    @precondition(lambda self: self.election.mail)
    @rule(data=st.data())
    def deliver(self, data: st.DataObject) -> None:
        """A message arrives, however long it was on its way and whoever has given it up."""
        self.election.deliver(data.draw(st.integers(0, len(self.election.mail) - 1)))

    @precondition(lambda self: self.election.mail)
    @rule(data=st.data())
    def lose(self, data: st.DataObject) -> None:
        """A call or an answer is lost: the process waits until it gives up."""
        self.election.mail.pop(data.draw(st.integers(0, len(self.election.mail) - 1)))

    @rule(which=st.integers(0, 2))
    def give_up(self, which: int) -> None:
        """A process waits no longer for its call."""
        if self.election.processes[which].call is not None:
            self.election.processes[which].give_up()

    @rule(seconds=st.one_of(st.floats(0.01, 3.0), st.floats(3.0, 25.0)))
    def pass_time(self, seconds: float) -> None:
        """Time goes by, for each clock at its own rate."""
        self.election.real += seconds

    @rule(which=st.integers(0, 2))
    def end_in_order(self, which: int) -> None:
        """A process ceases to lead, gives the Lease back if it can, and another takes its place."""
        process = self.election.processes[which]
        process.candidate = process.candidate.resigned()
        wish = process.candidate.release()
        if wish is not None:
            self.election.server.write(wish)
        self.replace(which)

    @rule(which=st.integers(0, 2))
    def crash(self, which: int) -> None:
        """A process is gone, and its calls may arrive still."""
        self.replace(which)

    def replace(self, which: int) -> None:
        """Another process in the place of this one, on the same machine's clock."""
        gone = self.election.processes[which]
        gone.ended = True
        self.election.processes[which] = Process(self.fresh(), gone.offset, gone.rate)

    @rule()
    def touch(self) -> None:
        """Somebody annotates the Lease."""
        self.election.server.touch()

    @rule()
    def delete(self) -> None:
        """Somebody deletes the Lease under whoever holds it."""
        self.election.server.record = None
        self.deleted = True

    @invariant()
    def never_two_lead(self) -> None:
        """The one law that all stands on."""
        assert len(self.election.leaders()) <= 1

    @invariant()
    def a_later_term_has_a_higher_epoch(self) -> None:
        """So whoever is told of both knows which one is over. Only deleting the Lease forgets the count."""
        for process in self.election.leaders():
            name, epoch = process.candidate.name, process.candidate.epoch
            if self.epochs.get(name) != epoch:
                assert self.deleted or epoch > max(self.epochs.values(), default=0)
                self.epochs[name] = epoch

    def teardown(self) -> None:
        """As soon as network and processes behave, somebody leads: within one lease, or two where it was deleted."""
        if not hasattr(self, "election"):
            return
        election = self.election
        election.mail.clear()
        for process in election.processes:
            process.call = None
        end = election.real + 2 * SLOWEST * TIMING.lasts + 2 * TIMING.look
        while not election.leaders() and election.real < end:
            for process in election.processes:
                election.round(process)
            election.real += TIMING.look
        assert len(election.leaders()) == 1


TestElections = Elections.TestCase
TestElections.settings = tries(400, steps=60)


def alone(rate: float = 1.0) -> tuple[Election, Process]:
    """One process that leads, since the instant 0 of its clock."""
    process = Process(Candidate(name="first"), 0.0, rate)
    election = Election([process])
    election.server.record = Record(version="0", holder="", epoch=6, lasts=15.0)
    election.round(process)
    assert process.leads(0.0)
    return election, process


def joined(election: Election, rate: float = 1.0) -> Process:
    """A second process, which has looked once."""
    other = Process(Candidate(name="second"), 500.0, rate)
    election.processes.append(other)
    election.round(other)
    return other


def test_a_lease_given_back_is_taken_at_once() -> None:
    """SIGTERM costs one look, not one lease; and the epoch goes on."""
    election, first = alone()
    second = joined(election)
    first.candidate = first.candidate.resigned()
    wish = first.candidate.release()
    assert wish is not None
    election.server.write(wish)
    election.round(second)
    assert election.leaders() == [second]
    assert (first.candidate.epoch, second.candidate.epoch) == (7, 8)


def test_a_dead_leader_is_followed_after_one_lease_and_not_before() -> None:
    """Counted from when the other saw the last renewal, by the other's clock."""
    election, first = alone()
    second = joined(election)
    first.ended = True
    for real, leads in ((9.9, [first]), (10.1, []), (14.9, []), (15.0, [second])):
        election.real = real
        election.round(second)
        assert election.leaders() == leads


@pytest.mark.parametrize(("slow", "quick"), [(1 - DRIFT, 1 + DRIFT), (1.0, 1.0)])
def test_clocks_that_disagree_by_the_whole_drift_leave_no_overlap(slow: float, quick: float) -> None:
    """The leader's runs slow, so it leads for longer than it thinks; the other's runs fast, so it waits for less."""
    election, first = alone(slow)
    second = joined(election, quick)
    first.ended = True
    while not second.leads(election.real):
        election.real += 0.01
        election.round(second)
        assert len(election.leaders()) <= 1


def test_a_term_counts_from_when_its_renewal_was_sent() -> None:
    """An answer that took nine seconds leaves one, and one that took eleven leaves none, and revives nothing."""
    for took, leads in ((9.0, True), (11.0, False)):
        election, first = alone()
        election.begin(first)
        election.deliver(0)
        election.real = took
        election.deliver(0)
        assert first.leads(took) is leads
        assert not first.leads(10.1)


def test_a_renewal_that_is_confirmed_too_late_revives_nothing() -> None:
    """Between the end of the term and the answer it was no leader, so it must begin anew."""
    election, first = alone()
    election.real = 9.0
    election.begin(first)
    election.deliver(0)
    election.real = 10.5
    election.deliver(0)
    assert not election.leaders()


def test_a_leader_cut_off_leads_again_under_a_new_epoch() -> None:
    """When the API server comes back and nobody has taken over, it need not wait; but that is another term."""
    election, first = alone()
    election.real = 60.0
    assert not election.leaders()
    election.round(first)
    assert election.leaders() == [first]
    assert first.candidate.epoch == 8


def test_a_leader_whose_lease_another_holds_leads_no_more() -> None:
    """Whoever wrote it there."""
    election, first = alone()
    standing = election.server.record
    assert standing is not None
    election.server.record = replace(standing, version="9", holder="somebody")
    election.round(first)
    assert not election.leaders()
    assert first.candidate.release() is None


def test_a_renewal_that_changed_nothing_is_none() -> None:
    """The others see no write, so they would not wait for it."""
    _, first = alone()
    wish = first.candidate.wish(5.0)
    assert wish is not None
    assert wish.over is not None
    assert first.candidate.wrote(wish, wish.over, sent=5.0, now=5.0).until == 10.0


def test_a_deleted_lease_is_written_anew_by_who_leads() -> None:
    """It goes on leading under its epoch; others would have had to wait."""
    election, first = alone()
    election.server.record = None
    election.round(first)
    assert election.leaders() == [first]
    assert (election.server.record and election.server.record.epoch) == 7


def test_epochs_go_on_after_the_lease_was_deleted() -> None:
    """Whoever has seen the last one counts on from it."""
    election, first = alone()
    second = joined(election)
    first.ended, election.server.record, election.real = True, None, 11.0
    election.round(second)
    election.real = 27.0
    election.round(second)
    assert second.leads(27.0)
    assert second.candidate.epoch == 8


def test_lengths_by_which_two_could_lead_are_refused() -> None:
    """The message says what is allowed."""
    with pytest.raises(ValueError, match="holds = 11: must be above 0 and at most 10, two thirds of lasts"):
        Timing(holds=11.0)
