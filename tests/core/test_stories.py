"""Stories: one pool from end to end, tick by tick, in a cluster that obeys."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scaler.core.memory import Memory
from scaler.core.pods import Activity, Phase, Pod, Stage
from scaler.core.policy import Guarantee, Mode, Pace, Policy, Workload
from scaler.core.reasons import Reason
from scaler.core.tick import tick
from scaler.core.types import Announcement, Seconds, Signal, Unknown
from tests.core.pool import HOUR, NOW, TICK, Story, busy, drained, draining, idle, numbered, starting, told

QUEUE = Signal.QUEUE
POLICY = Policy(max_replicas=20)
STATEFUL = replace(POLICY, workload=Workload.STATEFUL_SET)
TIMER: Seconds = 375.0  # three break-evens of two minutes' startup and five seconds' drain


# --- up ---------------------------------------------------------------------------------------------------------------


def test_a_burst_wakes_an_empty_pool() -> None:
    """Nine tasks arrive at nothing, and nine pods serve them within a minute."""
    story = Story.of(POLICY)
    story.expect(0, Reason.STEADY)  # nothing is asked of an empty pool
    story.signals[QUEUE] = 9.0
    story.expect(4, Reason.RATE_LIMIT)  # four at once from nothing: who errs by a burst errs by four
    story.expect(4, Reason.RATE_LIMIT)  # the window remembers what it gave
    story.expect(4, Reason.RATE_LIMIT)
    story.expect(8, Reason.RATE_LIMIT)  # fifteen seconds later as many again
    story.expect(8, Reason.RATE_LIMIT)
    story.dispatch()  # the first four are ready, and take a task each
    story.expect(8, Reason.RATE_LIMIT)
    story.expect(9, Reason.DEMAND)  # work that runs is demand like work that waits, so the last pod is ordered
    story.expect(9, Reason.STEADY)  # starting pods are supply: nothing is ordered twice
    story.tick(30.0)
    story.dispatch()
    story.expect(9, Reason.STEADY)  # all nine are at work
    assert story.signals[QUEUE] == 0.0


def test_constant_load_settles_and_never_moves_again() -> None:
    """Three tasks at once, for ever: two hours without a move or an order."""
    story = Story.of(POLICY)
    story.signals[QUEUE] = 3.0
    story.tick()
    story.tick(20.0)
    story.dispatch()
    story.expect_calm(2 * HOUR)


def test_a_small_rise_waits_until_somebody_has_waited() -> None:
    """One task queues before twenty busy pods: a pod may be free in a moment, and after 7.5 s one is started."""
    story = Story.of(replace(POLICY, max_replicas=30), *(busy(str(n)) for n in range(20)))
    story.signals[QUEUE] = 1.0
    story.expect(20, Reason.TOLERANCE)
    story.expect(20, Reason.TOLERANCE)
    story.expect(21, Reason.DEMAND)  # ten seconds are more than a quarter of the wait target


def test_draining_pods_are_called_back_before_new_ones_start() -> None:
    """Two pods drain when three tasks arrive: both come back at once, and only the third needs a start."""
    story = Story.of(POLICY, busy("a"), draining(idle("b")), draining(idle("c"), 4, 4))
    story.signals[QUEUE] = 3.0
    outcome = story.expect(4, Reason.UNDRAINED, "cancel b", "cancel c")  # acknowledged or not: nothing is committed
    assert [(step.reason, step.after) for step in outcome.trail] == [(Reason.DEMAND, 4), (Reason.UNDRAINED, 4)]
    assert {story.pods[uid].epoch for uid in "bc"} == {2, 5}  # under new epochs, so that no late word counts
    story.dispatch()
    story.expect(4, Reason.STEADY)


def test_a_stuck_start_is_replaced_once() -> None:
    """A pod hangs in its image pull. After twice the slowest start one more is ordered, and no second."""
    story = Story.of(POLICY, busy("a"), starting("stuck"))
    story.startup = 10 * HOUR
    story.signals[QUEUE] = 1.0
    story.expect_calm(235.0)  # it is on its way
    story.tick()
    story.expect(3, Reason.DEMAND)  # older than twice two minutes
    story.expect_calm(240.0)
    story.expect_calm(HOUR)  # the replacement hangs too, so the fault is elsewhere and more orders would not help


def test_pods_that_never_start_keep_their_place() -> None:
    """Nothing is queued any more, and the two that hang are not idle pods: they stay, and are told as what they are."""
    story = Story.of(POLICY, starting("a"), starting("b"))
    story.startup = 10 * HOUR
    story.expect_calm(2 * HOUR)
    assert story.expect(2, Reason.BUSY).evidence.supply.overdue == 2


@pytest.mark.parametrize("workload", Workload)
@pytest.mark.parametrize(
    ("policy", "pods", "kept"),
    [
        pytest.param(Policy(max_replicas=3), [busy(uid) for uid in "abcd"], 3, id="TheMaximumIsLowered"),
        pytest.param(replace(POLICY, slots_per_pod=4), [busy(uid) for uid in "abcd"], 1, id="TheyHaveRoom"),
        pytest.param(replace(POLICY, min_replicas=3), [idle(uid) for uid in "abcd"], 3, id="TheyAreIdle"),
    ],
)
def test_nobody_who_serves_leaves_for_pods_that_do_not_start(
    policy: Policy, pods: list[Pod], kept: int, workload: Workload
) -> None:
    """Six more hang, below the others in a StatefulSet. What four serve is not left to these, however long it takes."""
    story = Story.of(replace(policy, workload=workload), *numbered([*(starting(f"new-{n}") for n in range(6)), *pods]))
    story.startup = 100 * HOUR
    for _ in range(600):
        story.tick()
        serving = [p for uid, p in story.pods.items() if uid in "abcd" and p.phase is Phase.ACTIVE]
        assert len(serving) >= kept


@pytest.mark.parametrize("workload", Workload)
@pytest.mark.parametrize("guarantee", Guarantee)
def test_nobody_who_serves_leaves_for_pods_that_are_on_their_way(guarantee: Guarantee, workload: Workload) -> None:
    """Four have been idle for hours when a burst comes and is withdrawn: two are to be there, and are all the while.

    Once those that start for it serve, whoever is spare goes.
    """
    policy = replace(POLICY, min_replicas=2, guarantee=guarantee, workload=workload, pause_down=True)
    story = Story.of(policy, *numbered(idle(uid) for uid in "abcd"))
    story.expect_calm(2 * HOUR)
    story.startup, story.signals[QUEUE] = 100.0, 8.0
    story.expect(8, Reason.DEMAND)
    story.policy, story.signals[QUEUE] = replace(policy, pause_down=False), 0.0
    for _ in range(200):
        story.tick()
        assert sum(pod.stage is Stage.READY and pod.phase is Phase.ACTIVE for pod in story.pods.values()) >= 2
    assert story.replicas == 2


def test_an_evicted_pod_keeps_the_target() -> None:
    """A node is drained under an idle pod: its controller replaces it by itself, and that is not our fall."""
    story = Story.of(POLICY, busy("a"), idle("b"))
    del story.pods["b"]
    story.expect(2, Reason.IDLE_TIMER)
    assert sorted(story.pods) == ["a", "new-1"]
    story.expect_calm(60.0)


def test_the_money_caps_the_pool_and_draining_pods_count() -> None:
    """Six pods are paid for. Thirty tasks get six, and a pod that still drains takes its share of the money."""
    story = Story.of(replace(POLICY, budget_per_hour=12.0, pod_price_per_hour=2.0))
    story.signals[QUEUE] = 30.0
    story.expect(4, Reason.RATE_LIMIT)
    story.expect(6, Reason.BUDGET, after=15.0)
    story.expect(6, Reason.BUDGET, after=60.0)
    story.pods["new-1"] = draining(busy("new-1"))  # marked by hand
    story.expect(6, Reason.UNDRAINED, "cancel new-1")  # its capacity is wanted, and a seventh pod is not paid for


def test_the_schedule_has_pods_ready_when_work_begins() -> None:
    """Four pods from the tenth minute to the twentieth: ordered one startup ahead, and let go afterwards."""
    story = Story.of(POLICY)
    story.announced = (Announcement(name="opening", pods=4, start=NOW + 600.0, end=NOW + 1_200.0, added=False),)
    story.expect_calm(475.0)
    story.expect(4, Reason.ANNOUNCED)  # two minutes ahead
    story.expect_calm(715.0)  # idle for the whole window, and kept
    story.expect(4, Reason.IDLE_TIMER)  # from here on nothing asks for them, and they have been idle for long enough,
    story.expect(4, Reason.IDLE_TIMER)  # but are named three times before they drain
    story.expect(4, Reason.DRAINING, *(f"mark new-{n}" for n in (1, 2, 3, 4)))


# --- down -------------------------------------------------------------------------------------------------------------


def test_a_slow_decline_to_the_last_pod_and_to_zero() -> None:
    """Three pods finish one after the other. Each drains, is released, lowers the target by one, and is deleted."""
    story = Story.of(POLICY, busy("a"), busy("b"), busy("c"))
    left = 3
    for uid in "bca":
        story.runs(uid, 0)
        story.expect_calm(TIMER + 2 * TICK)  # its timer runs, and it is named three times
        story.expect(left, Reason.DRAINING, f"mark {uid}")
        story.expect(left, Reason.STEADY, f"close {uid}")  # the agent closes its gate, and is idle
        story.expect(left, Reason.STEADY, f"commit {uid}")  # so its release is committed, which cannot be taken back
        left -= 1
        story.expect(left, Reason.DRAINED)  # the target falls by exactly that pod, and only now
        story.expect(left, Reason.STEADY, f"delete {uid}")  # the replicas are lower: nobody is born in its place
        story.expect(left, Reason.STEADY)
    assert story.pods == {}
    assert story.tick().active is False  # only now may KEDA go to zero


def in_turn(story: Story, turn: int, tasks: int = 1) -> None:
    """So many pods of those that take work run a task, others every twenty seconds, as a random dispatcher has it."""
    turn //= 4
    able = [uid for uid, pod in story.pods.items() if pod.phase is Phase.ACTIVE]
    working = {able[(turn * tasks + n) % len(able)] for n in range(tasks)} if able else set[str]()
    for uid in able:
        story.runs(uid, int(uid in working))


def test_short_tasks_that_come_to_every_pod_keep_none_that_nobody_needs() -> None:
    """One task among six pods, in another one every twenty seconds: none is idle for long, and five are spare."""
    story = Story.of(POLICY, *(idle(uid) for uid in "abcdef"))
    for turn in range(int(TIMER / TICK) + 2):
        in_turn(story, turn)
        assert story.tick().orders == ()  # nobody has needed more than one for not quite the timer
    for turn in range(100):
        in_turn(story, turn)
        story.tick()
    assert len(story.pods) == 1


def test_what_was_wanted_within_the_timer_stays_whoever_worked_then() -> None:
    """Of six pods three are needed at once, for one look of five: sooner again than any timer runs, and all is calm."""
    story = Story.of(POLICY, *(idle(uid) for uid in "abcdef"))
    for turn in range(1_000):
        in_turn(story, turn, 3 if turn % 5 == 0 else 1)
        assert story.tick().orders == () or turn < 500
    assert 3 <= len(story.pods) < 6


@pytest.mark.parametrize("dark", ["the queue", "the pods", "both"])
def test_what_was_needed_while_nobody_watched_is_not_known(dark: str) -> None:
    """After a minute without sight nobody leaves before the timer has run again."""
    story = Story.of(POLICY, *(idle(uid) for uid in "abcdef"))
    for turn in range(int(TIMER / TICK) - 1):
        in_turn(story, turn)
        story.tick()
    story.signals[QUEUE] = 0.0 if dark == "the pods" else Unknown("timeout")
    story.unseen = None if dark == "the queue" else Unknown("forbidden")
    story.expect_calm(60.0)
    story.signals[QUEUE], story.unseen = 0.0, None
    for turn in range(int(TIMER / TICK) + 2):
        in_turn(story, turn)
        assert story.tick().orders == ()
    for turn in range(100):
        in_turn(story, turn)
        story.tick()
    assert len(story.pods) == 1


def test_a_pod_that_takes_work_while_it_drains_finishes_it() -> None:
    """A task arrived between the mark and the closing of the gate. The drain waits, for as long as it takes."""
    story = Story.of(POLICY, busy("a"), idle("b"))
    story.expect_calm(TIMER + 2 * TICK)
    story.expect(2, Reason.DRAINING, "mark b")
    story.runs("b", 1)
    for _ in range(200):
        story.expect(2, Reason.STEADY, "close b")  # it is asked again and again, and the target counts it
    story.runs("b", 0)
    story.expect(2, Reason.STEADY, "close b")
    story.expect(2, Reason.STEADY, "commit b")
    story.expect(1, Reason.DRAINED)


def test_a_held_session_keeps_its_pod() -> None:
    """A conversation pauses for an hour between two tasks. Its state lives in the pod, which is no spare."""
    story = Story.of(POLICY, busy("a"))
    story.pods["a"] = replace(story.pods["a"], activity=Activity(inflight=0, sessions=1, at=NOW))
    story.expect_calm(HOUR)


def test_work_that_returns_within_the_timer_finds_its_pod() -> None:
    """Five minutes of silence between two tasks, hour after hour: the one pod of the pool never leaves."""
    story = Story.of(replace(POLICY, max_replicas=1), busy("a"))
    for _ in range(12):
        story.runs("a", 0)
        story.expect_calm(300.0)
        story.runs("a", 1)
        story.expect_calm(30.0)


def test_a_drained_last_pod_does_not_hold_the_only_replica() -> None:
    """Work arrives after the last pod was released: it is deleted at once, and its replica gets a pod that serves."""
    story = Story.of(POLICY, drained(idle("a")))
    story.signals[QUEUE] = 1.0
    outcome = story.expect(1, Reason.DEMAND, "delete a")
    assert [(step.reason, step.after) for step in outcome.trail] == [(Reason.DRAINED, 0), (Reason.DEMAND, 1)]
    assert list(story.pods) == ["new-1"]
    story.expect(1, Reason.STEADY)


def test_a_new_leader_replaces_a_drained_last_pod_at_once() -> None:
    """It lowers nothing for one timer. But the only replica is held by a pod that serves nobody, and a task waits."""
    story = Story.of(POLICY, drained(idle("a")))
    story.memory = Memory.fresh(story.now)
    story.signals[QUEUE] = 1.0
    story.expect(1, Reason.NEWCOMER, "delete a")
    assert list(story.pods) == ["new-1"]
    story.expect_calm(TIMER + 60.0)


@pytest.mark.parametrize("workload", Workload)
def test_under_a_veto_only_those_drained_pods_go_whose_room_is_wanted(workload: Workload) -> None:
    """Falls are paused, two of three pods are drained, one task waits: one of the two is replaced, the other stays."""
    pods = numbered([busy("a"), drained(idle("b")), drained(idle("c"))])
    story = Story.of(replace(POLICY, pause_down=True, workload=workload), *pods)
    story.signals[QUEUE] = 1.0
    story.expect(3, Reason.PAUSED, "delete b")
    story.expect_calm(60.0)
    assert sorted(story.pods) == ["a", "c", "new-1"]


def test_under_a_veto_who_is_called_back_stands_for_a_drained_one() -> None:
    """Two tasks wait: one gets the pod that still drained, so only one of the two drained ones is replaced."""
    pods = [busy("a"), draining(idle("b")), drained(idle("c")), drained(idle("d"))]
    story = Story.of(replace(POLICY, pause_down=True), *pods)
    story.signals[QUEUE] = 2.0
    assert told(story.tick()) == ["cancel b", "delete c"]


def test_no_drained_pod_is_deleted_while_nobody_knows_the_replicas() -> None:
    """The target falls by it. Deleted before the replicas have, it would be started again."""
    story = Story.of(POLICY, busy("a"), drained(idle("b")), drained(idle("c")))
    dark = replace(story.observation(), replicas=Unknown("timeout"))
    outcome = tick(POLICY, story.memory, dark, NOW)
    assert (outcome.report, told(outcome)) == (1, [])


def test_a_drained_pod_that_lingers_is_replaced_once() -> None:
    """One was replaced for a task and is still there when another task waits: the other makes room for that."""
    story = Story.of(replace(POLICY, pause_down=True), busy("a"), drained(idle("b")), drained(idle("c")))
    story.signals[QUEUE] = 1.0
    story.expect(3, Reason.PAUSED, "delete b")
    story.pods["b"] = drained(idle("b"))  # it takes its time to end
    story.signals[QUEUE] = 2.0
    story.expect(3, Reason.PAUSED, "delete c", "delete b")


def test_a_drained_pod_stays_until_the_replicas_are_lower() -> None:
    """KEDA has not polled yet: to delete the pod now would have its controller start another."""
    story = Story.of(POLICY, busy("a"), drained(idle("b")))
    story.expect(1, Reason.DRAINED)
    for _ in range(10):
        story.replicas = 2  # what the HPA still says
        story.expect(1, Reason.STEADY)
    story.expect(1, Reason.STEADY, "delete b")


def test_a_stateful_set_is_blocked_by_its_top_ordinal() -> None:
    """Two of three are idle for hours, but the third is above them: nobody can leave, and the reason is told."""
    story = Story.of(replace(STATEFUL, ordinals_start=5), *numbered([idle("a"), idle("b"), busy("c")], start=5))
    story.expect_calm(TIMER + 2 * TICK)
    story.expect(3, Reason.ORDINAL)
    story.expect_calm(HOUR)
    story.runs("c", 0)  # two have been needed by nobody all the time: those on top go, though one has just worked
    story.expect_calm(2 * TICK)
    story.expect(3, Reason.DRAINING, "mark c", "mark b")


@pytest.mark.parametrize("start", [0, 5])
def test_a_stateful_set_keeps_all_below_a_pod_that_still_works(start: int) -> None:
    """All three drain, and the middle one took a task before its gate closed: only the top can go."""
    pods = [draining(idle("a")), draining(busy("b")), draining(idle("c"))]
    story = Story.of(replace(STATEFUL, ordinals_start=start), *numbered(pods, start))
    story.expect(3, Reason.STEADY, "close a", "close b", "close c")
    story.expect(3, Reason.STEADY, "commit a", "close b", "commit c")
    story.expect(2, Reason.FLOOR, "close b")  # two are drained, but the busy one has the second ordinal
    story.expect(2, Reason.FLOOR, "close b", "delete c")
    for _ in range(100):
        story.expect(2, Reason.FLOOR, "close b")  # a stays where it is: deleted, it would only be born again
    story.runs("b", 0)
    story.expect(2, Reason.FLOOR, "close b")
    story.expect(2, Reason.FLOOR, "commit b")
    story.expect(0, Reason.DRAINED)
    story.expect(0, Reason.STEADY, "delete b", "delete a")


@pytest.mark.parametrize("start", [0, 5])
def test_below_a_pod_that_stays_a_stateful_set_keeps_no_drained_one_for_ever(start: int) -> None:
    """Work came back when the lowest was drained already: it is started again, takes the work, and the top can go."""
    story = Story.of(replace(STATEFUL, ordinals_start=start), *numbered([drained(idle("a")), busy("b")], start))
    for _ in range(6):
        assert story.tick().report == 2
    story.runs("new-1", 1)
    story.runs("b", 0)
    for _ in range(200):
        story.tick()
    assert [pod.ordinal for pod in story.pods.values()] == [start]


@pytest.mark.parametrize("start", [0, 5])
def test_while_a_pod_above_is_spare_no_drained_one_of_a_stateful_set_is_started_again(start: int) -> None:
    """The top has nothing to do and will go. A new pod below it would cost a start, and nobody would need it."""
    pods = numbered([drained(idle("a")), busy("b"), idle("c")], start)
    story = Story.of(replace(STATEFUL, ordinals_start=start), *pods)
    story.expect_calm(TIMER + 2 * TICK)
    story.expect(3, Reason.DRAINING, "mark c")
    story.expect(3, Reason.FLOOR, "close c")


def test_work_waits_for_no_pod_that_leaves_with_its_node() -> None:
    """A StatefulSet's lowest is drained, the next has a long task and a node that goes: the lowest is wanted now."""
    going = replace(draining(busy("b")), displaced=True, for_node=True)
    story = Story.of(STATEFUL, *numbered([drained(idle("a")), going, busy("c")]))
    story.signals[QUEUE] = 1.0
    assert told(story.tick()) == ["close b", "delete a"]


def test_pods_that_guards_keep_leave_a_stateful_set_from_the_top() -> None:
    """Four pods stand where two are asked for. No rollout of a StatefulSet starts more, so all who are spare leave."""
    story = Story.of(STATEFUL, *numbered([idle("a"), idle("b")]))
    story.pods |= {pod.uid: pod for pod in numbered([idle("c"), idle("d")], start=2)}
    story.expect_calm(TIMER + 2 * TICK)
    story.expect(2, Reason.DRAINING, "mark d", "mark c", "mark b", "mark a")


def test_pods_that_are_going_keep_no_idle_ones_of_a_best_effort_pool() -> None:
    """One was given up and still stands; three more are idle, and wait for no rollout that there is not."""
    story = Story.of(replace(POLICY, guarantee=Guarantee.BEST_EFFORT), busy("a"), *(idle(uid) for uid in "bcde"))
    story.memory, story.replicas = replace(story.memory, target=4, live=4), 4
    story.expect_calm(TIMER + 2 * TICK)
    story.expect(1, Reason.IDLE)


def test_the_flap_budget_holds_falls_and_never_rises() -> None:
    """A pool with an impatient timer follows short bursts up and down six times in an hour. Then falls wait."""
    hasty = replace(POLICY, pace=Pace(timer_prior=0.2, forecast_gate=0.0))  # 25 s, far below the two minutes of a start
    story = Story.of(hasty)
    story.startup = 5.0
    for _ in range(6):
        story.signals[QUEUE] = 2.0
        story.expect(2, Reason.DEMAND)
        story.signals[QUEUE] = 0.0
        while story.pods:
            story.tick()
    assert story.tick().evidence.reversals == 6
    story.signals[QUEUE] = 2.0
    story.expect(2, Reason.DEMAND)  # a rise is never held
    story.signals[QUEUE] = 0.0
    story.expect_calm(235.0)  # four minutes long a fall would be a seventh reversal
    while story.memory.target:
        outcome = story.tick()
    assert outcome.evidence.reversals == 6  # afterwards it is none


# --- not knowing ------------------------------------------------------------------------------------------------------


def test_an_outage_of_the_metrics_neither_removes_nor_adds() -> None:
    """Queue and pods go dark for twenty minutes, with work queued and a pod long idle, and come back."""
    story = Story.of(POLICY, busy("a"), idle("b"))
    story.expect_calm(300.0)
    story.signals[QUEUE] = Unknown("connection refused")
    story.unseen = Unknown("forbidden")
    story.expect_calm(20 * 60.0)
    story.expect(2, Reason.NO_SIGNAL)
    story.signals[QUEUE] = 0.0
    story.unseen = None
    story.expect_calm(TIMER + 2 * TICK)  # nobody watched the idle pod, so its timer begins anew
    story.expect(2, Reason.DRAINING, "mark b")


def test_a_blackout_in_the_middle_of_a_burst_adds_nothing() -> None:
    """Twenty tasks were queued and four pods ordered when the lights went out. What is not known orders no fifth."""
    story = Story.of(POLICY)
    story.unseen = Unknown("no pod source")
    story.signals[QUEUE] = 20.0
    story.expect(4, Reason.RATE_LIMIT)
    story.signals[QUEUE] = Unknown("timeout")
    story.expect_calm(120.0)
    story.signals[QUEUE] = 20.0
    story.expect(8, Reason.RATE_LIMIT)  # the light returns, and the work is still there


def test_an_outage_of_the_queue_alone_still_lets_the_pods_ask() -> None:
    """What runs is seen: a pool under load grows with it, and does not shrink."""
    story = Story.of(replace(POLICY, slots_per_pod=2), busy("a"), idle("b"))
    story.signals[QUEUE] = Unknown("timeout")
    story.expect_calm(TIMER + HOUR)
    story.expect(2, Reason.STALE)
    story.runs("a", 5)  # more than its slots
    story.expect(3, Reason.DEMAND)


def test_a_signal_that_blinks_teaches_nothing() -> None:
    """Ten tasks stand in the queue for an hour, and every tenth read fails: ten pods, and not one more."""
    story = Story.of(POLICY)
    for n in range(720):
        story.signals[QUEUE] = Unknown("timeout") if n % 10 == 8 else 10.0
        story.tick()
        assert story.replicas <= 10
    assert story.replicas == 10


def test_a_drain_waits_for_the_light_to_return() -> None:
    """During an outage an acknowledged pod is not released: that could not be taken back, a drain can."""
    story = Story.of(POLICY, busy("a"), draining(idle("b"), 1, 1))
    story.signals[QUEUE] = Unknown("timeout")
    for _ in range(100):
        story.expect(2, Reason.STEADY, "close b")
    story.signals[QUEUE] = 0.0
    story.expect(2, Reason.STEADY, "commit b")


# --- new leaders and new policies -------------------------------------------------------------------------------------


def test_a_new_leader_takes_over_in_the_middle_of_a_drain() -> None:
    """One pod drains, one is drained, when the process dies. Its successor knows nothing and reads the labels."""
    story = Story.of(POLICY, busy("a"), draining(idle("b"), 3, 3), drained(idle("c")))
    story.memory = Memory.fresh(story.now)
    for _ in range(int(TIMER / TICK) - 1):
        story.expect(3, Reason.NEWCOMER, "close b")  # for one timer it lowers nothing, and commits nothing
    story.expect(2, Reason.DRAINED, "commit b")
    story.expect(1, Reason.DRAINED, "delete b")
    story.expect(1, Reason.STEADY, "delete c")
    story.expect_calm(60.0)


def test_a_new_leader_adds_at_once() -> None:
    """Holding back is for falls: who waits in a queue does not care who leads."""
    story = Story.of(POLICY, busy("a"))
    story.memory = Memory.fresh(story.now)
    story.signals[QUEUE] = 3.0
    story.expect(4, Reason.DEMAND)


def test_a_new_leader_repairs_an_undercut() -> None:
    """Somebody lowered the replicas to one while nobody led. Three pods work, and all three are asked for again."""
    story = Story.of(POLICY, busy("a"), busy("b"), busy("c"))
    story.memory = Memory.fresh(story.now)
    story.replicas = 1
    story.expect(3, Reason.STEADY)


@pytest.mark.parametrize("guarantee", Guarantee)
@pytest.mark.parametrize("unseen", [None, Unknown("forbidden")], ids=["seen", "unseen"])
def test_replicas_that_somebody_raised_are_adopted(guarantee: Guarantee, unseen: Unknown | None) -> None:
    """An operator scales from one to four by hand: whoever works in those pods, the target does not take them back."""
    story = Story.of(replace(POLICY, guarantee=guarantee), busy("a"))
    story.unseen = unseen
    story.tick()
    story.replicas = 4
    story.pods |= {uid: busy(uid) for uid in "bcd"}
    outcome = story.tick()
    assert (outcome.report, outcome.trail[0].reason) == (4, Reason.STANDING)
    story.expect_calm(60.0)


def test_the_kill_switch_in_the_middle_of_a_drain() -> None:
    """Switched off, the pod that drains is called back and the live replicas are answered; then it all begins anew."""
    story = Story.of(POLICY, busy("a"), draining(idle("b")))
    story.expect(2, Reason.STEADY, "close b")
    story.policy = replace(POLICY, mode=Mode.OFF)
    story.signals[QUEUE] = 7.0
    story.expect(2, Reason.OFF, "cancel b")  # nobody would finish it, and its gate must not stay shut
    for _ in range(50):
        story.expect(2, Reason.OFF)  # however much is queued
    story.replicas = 5  # an operator takes over by hand
    story.pods |= {uid: idle(uid) for uid in "cde"}
    story.expect(5, Reason.OFF)
    story.signals[QUEUE] = 0.0
    story.expect(5, Reason.OFF)
    story.policy = POLICY
    story.expect(5, Reason.STEADY)  # the replicas that the operator left are where it starts,
    story.expect_calm(60.0)
    story.expect(5, Reason.IDLE_TIMER)  # and who is idle is named anew


def test_a_pause_of_falls_keeps_what_there_is_and_lets_rises_pass() -> None:
    """Paused downwards for an incident: nothing drains however idle, and a burst is still served."""
    story = Story.of(replace(POLICY, pause_down=True), idle("a"), idle("b"))
    story.expect_calm(2 * HOUR)
    story.signals[QUEUE] = 3.0
    story.expect(3, Reason.DEMAND)
    story.policy = POLICY
    story.signals[QUEUE] = 0.0
    story.expect(3, Reason.STEADY)  # the pause is lifted, and the last seconds still needed three
    story.expect(3, Reason.IDLE_TIMER)  # then who has been idle for hours is named at once,
    story.expect(3, Reason.IDLE_TIMER)
    story.expect(3, Reason.DRAINING, "mark a")  # but nobody for the one that was still on its way,
    story.expect(3, Reason.IDLE_TIMER, "close a")
    story.expect(3, Reason.DRAINING, "commit a", "mark b")  # nor for the one that the last minute still needed


def test_a_pool_that_stops_protecting_opens_every_gate() -> None:
    """The drain protocol is switched off while pods drain: they come back, wanted or not, and drained ones go."""
    story = Story.of(POLICY, busy("a"), draining(busy("b")), draining(idle("c"), 2, 2))
    story.policy = replace(POLICY, guarantee=Guarantee.BEST_EFFORT)
    outcome = story.tick()
    assert told(outcome) == ["cancel b", "cancel c"]
    assert {pod.phase for pod in story.pods.values()} == {Phase.ACTIVE}
    story.expect_calm(60.0)


def test_a_rollout_does_not_run_away() -> None:
    """A Deployment surges by a quarter while guarded old pods stay: the target does not follow its own shadow."""
    story = Story.of(replace(POLICY, max_replicas=40), *(busy(f"old-{n}") for n in range(8)))
    for _ in range(120):
        surge = story.replicas + story.replicas // 4 - len(story.pods)
        story.pods |= {f"surge-{len(story.pods) + n}": idle(f"surge-{len(story.pods) + n}") for n in range(surge)}
        story.tick()
    assert (story.replicas, len(story.pods)) == (8, 10)


@pytest.mark.parametrize("lowered", [3, 5])
def test_a_lower_maximum_drains_the_idle_and_lets_others_finish(lowered: int) -> None:
    """The maximum is lowered under eight pods, six of them at work: nobody's work is cut, however long it takes.

    Those that are more than there may be take no more tasks. Else a queue would keep them there for ever.
    """
    story = Story.of(POLICY, *(busy(str(n)) for n in range(6)), idle("x"), idle("y"))
    story.policy = replace(POLICY, max_replicas=lowered)
    for _ in range(90):
        outcome = story.tick()
    assert (outcome.report, outcome.trail[-1].reason) == (6, Reason.FLOOR)
    assert sorted(story.pods) == [str(n) for n in range(6)]
    leaving = [uid for uid, pod in story.pods.items() if pod.phase is Phase.DRAINING]
    assert len(leaving) == 6 - lowered
    for uid in leaving:
        story.runs(uid, 0)
    for _ in range(90):
        outcome = story.tick()
    assert outcome.report == lowered
    assert sorted(story.pods) == sorted({str(n) for n in range(6)} - set(leaving))


def test_a_maximum_that_was_lowered_by_mistake_costs_nothing() -> None:
    """Lowered to two under six busy pods while others wait, and raised again as they work: each takes tasks again."""
    story = Story.of(POLICY, *(busy(str(n)) for n in range(6)))
    story.signals[Signal.QUEUE] = 4.0
    story.policy = replace(POLICY, max_replicas=2)
    for _ in range(6):
        story.tick()
    assert sum(pod.phase is Phase.DRAINING for pod in story.pods.values()) == 4
    story.policy = POLICY
    assert len([order for order in told(story.tick()) if order.startswith("cancel")]) == 4
    assert {pod.phase for pod in story.pods.values()} == {Phase.ACTIVE}
