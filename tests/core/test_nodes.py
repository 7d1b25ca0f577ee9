"""Nodes that ask their pods away: who begins to leave, how many at once, who stands in, and who is called back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scaler.core import nodes
from scaler.core.fleet import Fleet
from scaler.core.memory import Memory, Moves
from scaler.core.nodes import Need
from scaler.core.pods import Activity, Phase, Pod, Pods, Stage
from scaler.core.policy import Guarantee, Mode, Policy, Workload
from scaler.core.reasons import Reason
from scaler.core.supply import count
from scaler.core.tick import tick
from scaler.core.types import Observation, Seconds, Signal, Unknown
from tests.core.pool import (
    HOUR,
    NOW,
    TICK,
    Story,
    busy,
    drained,
    draining,
    given,
    idle,
    numbered,
    observe,
    seasoned,
    starting,
    told,
    unheard,
)

QUEUE = Signal.QUEUE
FULL = Policy(max_replicas=3)
SPENT = Moves(last_rise=NOW - 10.0, turns=(NOW - 20.0,) * 6)


def away(pod: Pod) -> Pod:
    """The pod, whose node asks it away."""
    return replace(pod, displaced=True)


def names(*pods: Pod, need: int = 0, foreseen: int = 0, room: int = 9, missing: int = 0, ago: Seconds = 0.0) -> str:
    """Who begins to leave, where so many pods are needed for the work, and so many for what is foreseen.

    The last one before began so many seconds ago.
    """
    seen = given(Policy(), observe(pods))
    assert isinstance(seen.fleet, Fleet)
    most = max(need, foreseen)
    wish = Need(now=need, all=most, room=room, missing=missing, rose_at=None, left_at=NOW - ago)
    rows = nodes.leave(seen.fleet, count(seen, len(pods), moves=True).supply, wish)
    return "".join(pods[i].uid for i in rows)


A, B, C = away(idle("a")), away(busy("b")), away(busy("c", 2))
HELD = away(replace(busy("h"), activity=Activity(inflight=1, sessions=1, at=NOW)))
SILENT, LATE = away(unheard("s")), away(starting("l", NOW - 1_000.0))


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param(names(idle("x"), busy("y")), "", id="NobodyWhoseNodeAsksNothing"),
        pytest.param(names(A, B, C), "abc", id="AllWhereTheWorkNeedsNone"),
        pytest.param(names(A, B, C, need=2, missing=2), "a", id="TheIdleOneThatTheWorkDoesNotNeed"),
        pytest.param(names(A, B, C, need=2, foreseen=3, missing=3), "a", id="NorWhatIsOnlyForeseen"),
        pytest.param(names(A, B, need=2, missing=2), "", id="NotTheIdleOneThatWaitingTasksNeed"),
        pytest.param(names(C, B, busy("x"), need=2, missing=1), "b", id="AsManyAsOthersStandInFor"),
        pytest.param(names(C, B, busy("x"), busy("y"), need=2), "bc", id="TheFewestTasksFirst"),
        pytest.param(names(HELD, B, busy("x"), need=2, missing=1), "b", id="ASessionIsAsMuchAsATask"),
        pytest.param(names(A, B, C, SILENT), "abc", id="ButForTheSilentWhomNobodyStandsInFor"),
        pytest.param(names(SILENT), "s", id="WhoGoesOnceAllOthersHave"),
        pytest.param(names(SILENT, C, busy("x"), need=1, missing=1), "c", id="TheSilentStandInForNobody"),
        pytest.param(names(SILENT, B, busy("x"), busy("y"), need=1), "bs", id="TheSilentLast"),
        pytest.param(names(B, away(starting("n")), need=1, missing=1), "n", id="OneThatServesNobodyYetAtOnce"),
        pytest.param(names(B, away(starting("n")), need=1, missing=1, room=0), "n", id="ItIsTheOneWhereNoneHasRoom"),
        pytest.param(names(C, B, need=2, missing=2, room=0), "b", id="OneAtATimeWhereThereIsNoRoomForOthers"),
        pytest.param(names(C, B, need=2, missing=2), "", id="NoneWhileOthersAreAboutToBeAskedFor"),
        pytest.param(names(C, B, starting("n"), need=2, missing=1, room=0), "", id="NoneWhileAnotherStarts"),
        pytest.param(
            names(C, B, starting("n", NOW - 280.0), need=2, room=9), "", id="NorWhileItsNodeMayHaveToBeBought"
        ),
        pytest.param(names(C, B, starting("n", NOW - 1_000.0), need=2, room=9), "b", id="OneWhileAnotherNeverStarts"),
        pytest.param(names(C, away(draining(busy("d"))), need=2, room=0), "", id="NoneWhileOneIsOnItsWay"),
        pytest.param(names(C, away(draining(unheard("d"))), need=2, room=0), "c", id="OneThatIsSilentHoldsNobodyUp"),
        pytest.param(names(C, draining(busy("d")), need=2, room=0), "c", id="NorOneThatDrainsForAnotherReason"),
        pytest.param(
            names(C, B, away(draining(busy("d"))), need=2, room=0, ago=299.0), "", id="NoneWhileOneMayStillEnd"
        ),
        pytest.param(
            names(C, B, away(draining(busy("d"))), need=2, room=0, ago=300.0), "b", id="OneThatNeverEndsHoldsNobodyUp"
        ),
        pytest.param(
            names(B, away(draining(busy("d"))), starting("n"), need=2, room=0, ago=300.0), "", id="ButWhoStartsDoes"
        ),
    ],
)
def test_who_begins_to_leave_with_its_node(found: str, expected: str) -> None:
    """Each row: pods, of which a, b, c, s, l, n and d stand on such a node, and those that take no more from now on."""
    assert found == expected


@pytest.mark.parametrize(("ago", "expected"), [(10.0, ""), (1_000.0, "b")], ids=["Lately", "LongAgo"])
def test_others_that_were_asked_for_are_waited_for_only_so_long(ago: float, expected: str) -> None:
    """Two were asked for and never became pods: a quota, perhaps. Then it goes on one at a time."""
    seen = given(Policy(), observe([C, B], replicas=4))
    assert isinstance(seen.fleet, Fleet)
    wish = Need(now=2, all=2, room=9, missing=0, rose_at=NOW - ago, left_at=NOW)
    rows = nodes.leave(seen.fleet, count(seen, 4, moves=True).supply, wish)
    assert "".join("cb"[i] for i in rows) == expected


def test_who_was_heard_long_ago_is_as_silent_as_who_never_was() -> None:
    """It said one task, sixteen seconds ago: the one that says two now goes first, for of that one this is known."""
    silent = replace(B, activity=Activity(inflight=1, at=NOW - 16.0))
    seen = given(Policy(), replace(observe([], replicas=3), pods=Pods.of([silent, C, busy("x")])))
    assert isinstance(seen.fleet, Fleet)
    wish = Need(now=1, all=1, room=9, missing=0, rose_at=None, left_at=NOW)
    assert nodes.leave(seen.fleet, count(seen, 3, moves=True).supply, wish) == (1,)


def test_others_that_have_come_are_nobody_on_the_way() -> None:
    """The target rose just now, and all that it rose for are there: nobody is waited for."""
    seen = given(Policy(), observe([C, B]))
    assert isinstance(seen.fleet, Fleet)
    wish = Need(now=2, all=2, room=9, missing=0, rose_at=NOW - 10.0, left_at=NOW)
    assert nodes.leave(seen.fleet, count(seen, 2, moves=True).supply, wish) == (1,)


def test_pods_whose_nodes_ask_them_away_are_no_supply() -> None:
    """Ready or on their way; one that is overdue was none before."""
    pods = [busy("x"), A, away(starting("n")), LATE, starting("o", NOW - 1_000.0)]
    seen = given(Policy(), observe(pods))
    assert count(seen, 5).supply.wanted == 4
    assert count(seen, 5, moves=True).supply.wanted == 2
    assert count(seen, 5).supply.displaced == 2


# --- stories ----------------------------------------------------------------------------------------------------------


def test_a_busy_pool_keeps_its_capacity_while_a_node_is_emptied() -> None:
    """Two of three are asked away while all work: two others are started first, then these finish and are gone."""
    story = Story.of(Policy(), busy("x"), B, away(busy("c")))
    for _ in range(4):
        story.expect(5, Reason.REPLACING)
    story.expect(5, Reason.DISPLACED, "mark b", "mark c")  # the others have become ready
    story.runs("new-1", 1)
    story.expect(5, Reason.STEADY, "close b", "close c")
    story.runs("b", 0)
    story.runs("c", 0)
    for _ in range(6):
        story.tick()
    assert set(story.pods) == {"x", "new-1", "new-2"}
    assert story.replicas == 3


def test_who_stands_in_for_one_stands_in_for_no_second_one() -> None:
    """One of two others is ready: one begins to leave, and its task is no reason for the next to go with it."""
    story = Story.of(Policy(), B, away(busy("c")))
    story.expect(4, Reason.REPLACING)
    story.pods["new-2"] = replace(story.pods["new-2"], since=NOW + 1_000.0)
    for _ in range(4):
        story.tick()
    assert [pod.uid for pod in story.pods.values() if pod.phase is Phase.DRAINING] == ["b"]
    for _ in range(20):  # longer than any mean of demand
        story.expect(4, Reason.REPLACING, "close b")


def test_who_stands_in_stays_until_the_task_is_done() -> None:
    """A pool is not smaller than its work, wherever that is. Without work the pod leaves as any other."""
    story = Story.of(Policy(), B, busy("x"))
    while story.pods["b"].phase is Phase.ACTIVE:
        story.tick()
    for _ in range(400):  # half an hour, where the idle timer is six minutes
        story.expect(3, Reason.STEADY, "close b")
    story.runs("b", 0)
    for _ in range(30):
        story.tick()
    assert set(story.pods) == {"x"}


def test_an_agent_that_never_ends_keeps_the_others_on_its_node_for_five_minutes_each() -> None:
    """A full pool whose work never ends, and a task that does not either: the node keeps that pod alone."""
    story = Story.of(FULL, away(busy("hung")), B, away(busy("c")))
    story.signals[Signal.QUEUE] = 5.0
    for uid in ("hung", "b", "c"):
        begins = story.tick()
        assert f"mark {uid}" in told(begins)
        for _ in range(59):
            assert not [order for order in told(story.tick()) if order.startswith("mark")]
    for uid in ("b", "c"):
        story.runs(uid, 0)
    for _ in range(4):
        story.tick()
    assert {"hung", "new-1", "new-2"} == set(story.pods)
    assert story.pods["hung"].phase is Phase.DRAINING


def test_a_new_leader_waits_anew_for_who_leaves() -> None:
    """It has not seen who began when, and gives them the same five minutes."""
    story = Story.of(FULL, away(draining(busy("hung"))), B, busy("x"))
    story.signals[Signal.QUEUE] = 5.0
    story.memory = replace(Memory.fresh(NOW), target=3)
    for _ in range(59):
        assert told(story.tick()) == ["close hung"]
    assert told(story.tick()) == ["close hung", "mark b"]


def test_who_began_to_leave_when_is_remembered_while_nothing_can_be_decided() -> None:
    """Nobody says how many replicas there are, for one tick."""
    memory = replace(Memory.fresh(NOW - HOUR), left_at=NOW)
    seen = replace(observe([away(draining(busy("a")))]), replicas=Unknown("timeout"), pods=Unknown("timeout"))
    assert tick(FULL, memory, seen, NOW).memory.left_at == NOW


def test_an_idle_pool_is_emptied_at_once_and_keeps_its_minimum() -> None:
    """No timer is waited for, and no third naming; those that stand in are asked for in the same tick."""
    story = Story.of(Policy(min_replicas=2), A, away(idle("b")))
    story.expect(4, Reason.DISPLACED, "mark a", "mark b")
    for _ in range(8):
        story.tick()
    assert set(story.pods) == {"new-1", "new-2"}
    assert story.replicas == 2


def test_a_full_pool_goes_on_one_at_a_time_and_never_above_its_maximum() -> None:
    """All three work, three is the most: one leaves, another starts in its place, and only then the next."""
    story = Story.of(FULL, *(away(busy(uid)) for uid in "abc"))
    story.signals[QUEUE] = 5.0
    marked: list[list[str]] = []
    for _ in range(80):
        outcome = story.tick()
        assert outcome.report == 3
        marked.append([word for word in told(outcome) if word.startswith("mark")])
        closing = [pod for pod in story.pods.values() if pod.displaced and pod.phase is Phase.DRAINING]
        for pod in closing:
            story.runs(pod.uid, 0)
        for uid, pod in story.pods.items():
            if pod.stage is Stage.READY and pod.phase is Phase.ACTIVE:
                story.runs(uid, 1)
    assert [len(words) for words in marked if words] == [1, 1, 1]
    assert set(story.pods) == {"new-1", "new-2", "new-3"}


def test_no_maximum_or_cordon_of_all_nodes_makes_the_target_run_away() -> None:
    """Nobody is ever ready again, for no node takes them: at most one more is asked for than stands in for all."""
    story = Story.of(Policy(max_replicas=500), *(away(busy(str(n))) for n in range(10)))
    story.startup = 1e9
    targets = [story.tick().report for _ in range(400)]
    assert max(n for n in targets if isinstance(n, int)) <= 21
    gone = sum(pod.phase is not Phase.ACTIVE for pod in story.pods.values())
    assert 1 <= gone <= 400 * TICK / nodes.PATIENCE  # they work on, and one in five minutes takes no more


def test_work_that_comes_back_does_not_call_back_a_pod_whose_node_asks_it_away() -> None:
    """It would be asked away again; another is started for the work."""
    story = Story.of(Policy(), away(draining(busy("a"))), busy("x"))
    story.signals[QUEUE] = 4.0
    outcome = story.tick()
    assert told(outcome) == ["close a"]
    assert outcome.report == 6


def test_a_node_that_wants_its_pods_again_has_those_that_are_not_drained() -> None:
    """Uncordoned in time: the pod takes work again under a new epoch, and the drained one goes its way."""
    story = Story.of(Policy(), B, away(idle("a")), busy("x"))
    story.tick()
    story.pods = {uid: replace(pod, displaced=False) for uid, pod in story.pods.items()}
    assert told(story.tick()) == ["cancel a"]
    story.tick()
    assert {(pod.phase, pod.for_node) for pod in story.pods.values()} == {(Phase.ACTIVE, False)}


@pytest.mark.parametrize("asked", [False, True], ids=["OfItsOwn", "ThoughItsNodeAskedLater"])
def test_a_drain_of_the_pools_own_is_not_called_back_by_an_uncordon(asked: bool) -> None:
    """It had begun because the pod was spare, and it still is."""
    story = Story.of(Policy(), replace(draining(busy("a")), displaced=asked), busy("x"))
    story.tick()
    story.pods["a"] = replace(story.pods["a"], displaced=False)
    assert told(story.tick()) == ["close a"]


def test_who_leads_next_calls_back_what_drained_for_a_node_that_was_uncordoned_meanwhile() -> None:
    """The pod's mark says why it drains, and nothing is remembered of it anywhere else."""
    story = Story.of(Policy(), replace(draining(busy("a")), for_node=True), draining(busy("b")), busy("x"))
    story.memory = replace(Memory.fresh(NOW), target=3)
    assert told(story.tick()) == ["cancel a", "close b"]


def test_what_is_missing_calls_back_the_pools_own_drains_beside_those_a_node_gave_back() -> None:
    """Two tasks wait, and two pods that drain for different reasons can take them: nobody is called twice."""
    story = Story.of(Policy(), replace(draining(busy("a")), for_node=True), draining(busy("b")), busy("x"))
    story.signals[QUEUE] = 2.0
    assert told(story.tick()) == ["cancel a", "cancel b"]


def test_while_additions_are_paused_nobody_is_waited_for_who_cannot_come() -> None:
    """No other may be started to stand in: then it goes on one at a time, or the node would never be empty."""
    assert told(Story.of(Policy(pause_up=True), away(busy("a")), busy("x")).tick()) == ["mark a"]


@pytest.mark.parametrize(
    ("policy", "change"),
    [
        pytest.param(Policy(pause_down=True), {}, id="FallsArePaused"),
        pytest.param(Policy(), {"unguarded": Unknown("a pod could be deleted")}, id="TheGuardsDoNotHold"),
        pytest.param(Policy(), {"signals": {QUEUE: Unknown("timeout")}}, id="TheDemandIsNotKnown"),
        pytest.param(Policy(mode=Mode.RECOMMEND), {}, id="ItIsOnlyRecommended"),
        pytest.param(Policy(mode=Mode.OFF), {}, id="ItIsSwitchedOff"),
        pytest.param(Policy(guarantee=Guarantee.BEST_EFFORT), {}, id="ThereIsNoGate"),
    ],
)
def test_nothing_begins(policy: Policy, change: dict[str, object]) -> None:
    """Each row: why no pod starts to leave with its node; nor is any other asked for to stand in for it."""
    story = Story.of(policy, away(busy("a")), busy("x"))
    seen: Observation = replace(story.observation(), **change)  # type: ignore[arg-type]
    outcome = tick(policy, story.memory, seen, NOW)
    assert (outcome.orders, outcome.report) == ((), 2)


def test_why_nothing_begins_is_told() -> None:
    """Whoever drains the node and waits is told what to look at."""
    story = Story.of(Policy(pause_down=True), away(busy("a")), busy("x"))
    outcome = story.expect(2, Reason.PAUSED)
    assert outcome.trail[-1].note == "1 are asked away by their nodes: pause_down"


@pytest.mark.parametrize(
    "memory",
    [
        pytest.param(replace(Memory.fresh(NOW), target=3), id="ANewProcess"),
        pytest.param(replace(seasoned(3), moves=SPENT), id="ASpentFlapBudget"),
    ],
)
def test_what_only_forbids_a_fall_does_not_hold_up_a_node(memory: Memory) -> None:
    """The pod is drained and deleted for another in its place, and the target stays."""
    pods = [away(idle("a")), away(draining(idle("d"), 1, 1)), away(drained(idle("e")))]
    story = Story.of(Policy(min_replicas=3), *pods)
    story.memory = memory
    outcome = story.tick(after=0.0)
    assert told(outcome) == ["commit d", "delete e", "mark a"]
    assert outcome.report == 5  # two that go, and three that stay


def test_a_drained_pod_does_not_stay_on_its_node_because_nothing_may_fall() -> None:
    """A new process lowers nothing yet: the pod is deleted all the same, and one that nobody needs comes elsewhere."""
    pods = [busy("x"), away(drained(idle("e"))), drained(idle("f"))]
    story = Story.of(Policy(), *pods)
    story.memory = replace(Memory.fresh(NOW), target=3)
    outcome = story.tick(after=0.0)
    assert (outcome.report, told(outcome)) == (3, ["delete e"])


def test_who_was_drained_for_his_node_stays_while_nobody_may_leave() -> None:
    """Somebody paused the pool meanwhile: then none is started in its place either."""
    outcome = Story.of(Policy(pause_down=True), busy("x"), away(drained(idle("e")))).tick()
    assert (outcome.report, told(outcome)) == (2, [])


@pytest.mark.parametrize("memory", [seasoned(3), replace(Memory.fresh(NOW), target=3)], ids=["Calm", "ANewProcess"])
@pytest.mark.parametrize("top", [pytest.param(busy("c"), id="Busy"), pytest.param(idle("c"), id="Spare")])
def test_who_was_drained_for_a_node_makes_room_though_that_wants_its_pods_again(memory: Memory, top: Pod) -> None:
    """Uncordoned before the pod was deleted: below one that stays it would hold its place for ever, and do nothing."""
    pods = numbered([replace(drained(idle("a")), for_node=True), busy("b"), top])
    story = Story.of(Policy(workload=Workload.STATEFUL_SET), *pods)
    story.memory = memory
    assert told(story.tick(after=0.0)) == ["delete a"]


def test_a_stateful_set_starts_an_ordinal_again_where_its_node_is_another() -> None:
    """The middle one is drained for its node: its ordinal stays wanted, so it is deleted and comes again."""
    policy = Policy(workload=Workload.STATEFUL_SET, min_replicas=3)
    pods = numbered([busy("a"), away(idle("b")), busy("c")])
    story = Story.of(policy, *pods)
    for _ in range(8):
        story.tick()
    assert sorted(pod.ordinal for pod in story.pods.values())[:3] == [0, 1, 2]
    assert "b" not in story.pods
    assert {"a", "c"} <= set(story.pods)
