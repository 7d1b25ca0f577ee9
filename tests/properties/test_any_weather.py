"""A pool in all weathers: whatever comes, in whatever order, every tick keeps every law, and nobody is killed.

At the end everything is mended, and the work that there is must be served.
"""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from scaler.core.policy import Policy, Workload
from scaler.core.types import Announcement, PodUid, Seconds, Signal
from tests.properties.cluster import Cluster
from tests.properties.drawn import policies
from tests.properties.effort import tries
from tests.properties.laws import keeps_every_law

MEASURED = frozenset({Signal.QUEUE, Signal.TOKENS})


class AnyWeather(RuleBasedStateMachine):
    """Bursts, silence, missing data, stale pods, clocks, reloads, crashes, cordons, late orders and new processes."""

    cluster: Cluster

    @initialize(workload=st.sampled_from(Workload), replicas=st.integers(0, 4), seed=st.integers(0, 9))
    def begin(self, workload: Workload, replicas: int, seed: int) -> None:
        """A pool of a few pods."""
        policy = Policy(workload=workload)
        self.cluster = Cluster(policy=policy, signals=MEASURED, startup=20.0, seed=seed, replicas=replicas)

    @rule(load=st.sampled_from([0, 0, 1, 5, 30]), turnover=st.sampled_from([0, 3]))
    def burst(self, load: int, turnover: int) -> None:
        """The load changes."""
        self.cluster.load, self.cluster.turnover = load, turnover

    @rule(steps=st.integers(1, 12), seconds=st.sampled_from([5.0, 5.0, 1.0, 60.0, 400.0]))
    def wait(self, steps: int, seconds: Seconds) -> None:
        """Time passes, tick by tick."""
        for _ in range(steps):
            keeps_every_law(self.cluster.step(seconds))
            assert self.cluster.killed == []

    @rule(policy=policies())
    def reload(self, policy: Policy) -> None:
        """The operator wants something else; what the pool is made of stays."""
        self.cluster.policy = replace(policy, workload=self.cluster.policy.workload, ordinals_start=0)

    @rule(lost=st.sets(st.sampled_from(sorted(MEASURED))), blind=st.booleans(), unread=st.booleans())
    def go_dark(self, lost: set[Signal], blind: bool, unread: bool) -> None:
        """Signals fail or come back, and so do the lists of pods and the count of replicas."""
        self.cluster.lost, self.cluster.blind, self.cluster.unread = lost, blind, unread

    @precondition(lambda self: self.cluster.agents)
    @rule(data=st.data())
    def fall_silent(self, data: st.DataObject) -> None:
        """One agent is not heard any more, or does not acknowledge, or both end."""
        agent = self.some(data)
        data.draw(st.sampled_from([self.cluster.deaf, self.cluster.mute])).add(agent)

    @precondition(lambda self: self.cluster.agents)
    @rule(data=st.data(), stuck=st.booleans())
    def cordon(self, data: st.DataObject, stuck: bool) -> None:
        """A node asks a pod of its away, and perhaps there is no other node."""
        self.cluster.asked.add(self.some(data))
        self.cluster.stuck = stuck

    @rule()
    def uncordon(self) -> None:
        """No node asks anything any more."""
        self.cluster.asked, self.cluster.stuck = set(), False

    @rule()
    def speak_again(self) -> None:
        """All agents are heard."""
        self.cluster.deaf, self.cluster.mute = set(), set()

    @precondition(lambda self: self.cluster.agents)
    @rule(data=st.data())
    def crash(self, data: st.DataObject) -> None:
        """A pod dies, and the controller starts another."""
        self.cluster.crash(self.some(data))

    @rule(by=st.sampled_from([-100_000.0, -30.0, 30.0, 100_000.0]))
    def set_the_clock(self, by: Seconds) -> None:
        """The clock is set."""
        self.cluster.clock += by

    @rule(remembered=st.booleans())
    def restart(self, remembered: bool) -> None:
        """Another process takes over, with the memory or without."""
        self.cluster.restart(remembered=remembered)

    @rule(late=st.booleans())
    def be_slow(self, late: bool) -> None:
        """Orders are carried out a step late, or at once again."""
        self.cluster.late = late

    @rule(behind=st.sampled_from([0, 1, 6]))
    def read_late(self, behind: int) -> None:
        """The live replicas are read so many steps late, or at once again."""
        self.cluster.behind = behind

    @precondition(lambda self: not self.cluster.blind)
    @rule(replicas=st.integers(1, 5))
    def meddle(self, replicas: int) -> None:
        """Somebody else raises the replicas, in plain sight."""
        self.cluster.replicas += replicas
        self.cluster.control()
        self.wait(1, 5.0)

    @rule(pods=st.sampled_from([1.0, 6.0]), added=st.booleans(), seconds=st.sampled_from([60.0, 600.0]))
    def announce(self, pods: float, added: bool, seconds: Seconds) -> None:
        """Work is announced, or the schedule has a window."""
        now = self.cluster.clock
        hint = Announcement(name=f"from {now}", pods=pods, start=now, end=now + seconds, added=added)
        self.cluster.announced = (*self.cluster.announced[-1:], hint)

    def some(self, data: st.DataObject) -> PodUid:
        """One of the pods."""
        return data.draw(st.sampled_from(sorted(self.cluster.agents)))

    def teardown(self) -> None:
        """When all is mended, the work is served."""
        cluster = self.cluster
        cluster.policy = Policy(workload=cluster.policy.workload)
        cluster.lost, cluster.blind, cluster.unread, cluster.late, cluster.announced = set(), False, False, False, ()
        cluster.load, cluster.turnover, cluster.spread, cluster.behind = 7, 2, False, 0
        self.speak_again()
        cluster.stuck = False
        cluster.run(150, 20.0)
        assert not cluster.asked & cluster.agents.keys()
        assert cluster.running == cluster.load
        assert cluster.killed == []


AnyWeather.TestCase.settings = tries(30, steps=25, long=True)


class TestAnyWeather(AnyWeather.TestCase):  # type: ignore[misc, valid-type]
    """The machine, run."""
