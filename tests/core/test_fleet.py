"""Looking at pods: who is idle and since when, who cannot be believed, and what each look teaches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.core.fleet import NEW, Fleet, PodMemory, Sight, align, look
from scaler.core.pods import Activity, Pod, Pods, Stage
from scaler.core.types import Instant, Seconds
from tests.core.pool import LONG_AGO, NOW, busy, drained, draining, heard, idle, starting, unheard

STALE_AFTER: Seconds = 15.0
OVERDUE_AFTER: Seconds = 240.0


def seen(pods: Sequence[Pod], memory: PodMemory | None = None, at: Instant = NOW) -> Fleet:
    """One look at the pods as they are."""
    sight = Sight(now=at, stale_after=STALE_AFTER, lost_after=300.0, overdue_after=OVERDUE_AFTER, slots=2, gated=True)
    return look(Pods.of(pods), memory or PodMemory.none(), sight)


def kept(fleet: Fleet) -> PodMemory:
    """What a look leaves behind, as a tick that chose nobody keeps it."""
    return PodMemory(
        uids=fleet.pods.uids,
        idle_since=fleet.idle_since,
        named=fleet.named,
        stage=fleet.pods.stage,
        heard=fleet.heard,
        settled=fleet.settled,
        coming=fleet.starting + fleet.overdue,
    )


def then(before: Sequence[Pod], after: Sequence[Pod], seconds: Seconds = 100.0) -> Fleet:
    """The second of two looks, each at pods that speak at that instant if they speak at all."""
    at = NOW + seconds
    return seen([heard(p, at) for p in after], kept(seen(before)), at)


def ready(pod: Pod, at: Instant) -> Pod:
    """A starting pod, having become ready at this instant."""
    return replace(pod, stage=Stage.READY, since=at, activity=Activity(inflight=0, at=at))


HOLDING = replace(idle("a"), activity=Activity(inflight=0, sessions=1, at=NOW))
TALKING = replace(idle("a"), activity=Activity(inflight=1, sessions=1, at=NOW))
UNREADY = replace(idle("a"), stage=Stage.UNREADY)
SILENT = replace(idle("a"), activity=Activity(inflight=0, at=NOW - STALE_AFTER - 0.1))


@pytest.mark.parametrize(
    ("pod", "idle_now"),
    [
        pytest.param(idle("a"), True, id="NothingRunsAndNothingIsHeld"),
        pytest.param(busy("a"), False, id="ATaskRuns"),
        pytest.param(HOLDING, False, id="ASessionIsHeld"),
        pytest.param(TALKING, False, id="ATaskOfAHeldSessionRuns"),
        pytest.param(UNREADY, False, id="NotReadyIsNoProofOfIdleness"),
        pytest.param(starting("a"), False, id="StillStarting"),
        pytest.param(unheard("a"), False, id="NeverHeard"),
        pytest.param(SILENT, False, id="SilentForMoreThanThreeScrapes"),
        pytest.param(draining(idle("a")), False, id="AlreadyDraining"),
        pytest.param(drained(idle("a")), False, id="AlreadyDrained"),
    ],
)
def test_who_is_idle(pod: Pod, idle_now: bool) -> None:
    """Each row: a pod, and whether removal may consider it."""
    assert seen([pod]).idle.tolist() == [idle_now]


def test_idleness_is_counted_from_the_look_that_first_saw_it() -> None:
    """Not from when the pod was born, nor from when it fell idle unseen: too late costs a little, too early work."""
    first = seen([idle("a"), busy("b")])
    second = then([idle("a"), busy("b")], [idle("a"), idle("b")], 30.0)
    assert first.idle_since[0] == NOW
    assert second.idle_since.tolist() == [NOW, NOW + 30.0]


def test_a_pod_that_fell_silent_is_idle_anew() -> None:
    """What it did while nobody heard it is not known, so its timer starts again."""
    silent = kept(then([idle("a")], [unheard("a")], 30.0))
    assert seen([heard(idle("a"), NOW + 60.0)], silent, NOW + 60.0).idle_since.tolist() == [NOW + 60.0]


@pytest.mark.parametrize(
    ("after", "ended", "left"),
    [
        pytest.param([busy("a")], [100.0], [], id="WorkEndsAGap"),
        pytest.param([HOLDING], [100.0], [], id="SoDoesASession"),
        pytest.param([idle("a")], [], [], id="AnOpenGapTeachesNothingYet"),
        pytest.param([draining(idle("a"))], [], [100.0], id="ADrainCutsIt"),
        pytest.param([], [], [100.0], id="APodThatIsGoneCutsIt"),
        pytest.param([unheard("a")], [], [], id="SilenceProvesNothing"),
    ],
)
def test_what_a_gap_teaches(after: list[Pod], ended: list[float], left: list[float]) -> None:
    """Each row: what became of a pod that stood idle for a hundred seconds, and the gap as ended or cut."""
    fleet = then([idle("a")], after)
    assert (fleet.ended.tolist(), fleet.left.tolist()) == (ended, left)


def test_each_gap_is_taught_once() -> None:
    """A pod that goes on draining, or working, does not cut or end its gap again."""
    cut = kept(then([idle("a"), idle("b")], [draining(idle("a")), busy("b")]))
    later = seen([heard(p, NOW + 200.0) for p in (draining(idle("a")), busy("b"))], cut, NOW + 200.0)
    assert (later.ended.tolist(), later.left.tolist()) == ([], [])


@pytest.mark.parametrize(
    ("before", "after", "measured"),
    [
        pytest.param([starting("a")], ready(starting("a"), NOW + 40.0), [40.0], id="FromCreationToReady"),
        pytest.param([], ready(starting("a"), NOW + 40.0), [], id="APodNeverSeenStartingMayHaveStartedLongAgo"),
        pytest.param([starting("a")], starting("a"), [], id="NotReadyYet"),
        pytest.param([UNREADY], idle("a"), [], id="ReadyAgainIsNoStart"),
        pytest.param([starting("a", NOW - 50)], unheard("a"), [], id="NoStartThatThePodDoesNotTell"),
    ],
)
def test_startups_are_measured_once(before: list[Pod], after: Pod, measured: list[float]) -> None:
    """Each row: a pod at two looks, and the startup that the second measures."""
    assert then(before, [after]).startups.tolist() == measured


@pytest.mark.parametrize(
    ("pod", "at_work"),
    [
        pytest.param(busy("a", 3), 1, id="WhoRunsTasks"),
        pytest.param(draining(busy("a")), 1, id="AlsoWhileItDrains"),
        pytest.param(idle("a"), 0, id="NotTheIdle"),
        pytest.param(unheard("a"), 0, id="NorTheSilent"),
        pytest.param(replace(busy("a"), activity=Activity(inflight=1, at=NOW - 60.0)), 0, id="NorWhatWasLongAgo"),
        pytest.param(replace(busy("a"), activity=Activity(inflight=0, sessions=1, at=NOW)), 1, id="WhoHoldsASession"),
    ],
)
def test_who_is_known_to_work(pod: Pod, at_work: int) -> None:
    """Each row: a pod, and whether it counts as one that certainly has something to lose."""
    assert seen([pod]).at_work == at_work


@pytest.mark.parametrize(
    ("pod", "counts"),
    [
        # ready, starting, overdue, draining, drained, unknown
        pytest.param(busy("a"), (1, 0, 0, 0, 0, 0), id="Ready"),
        pytest.param(unheard("a"), (1, 0, 0, 0, 0, 1), id="ReadyAndSilentIsSupplyAndUnknown"),
        pytest.param(starting("a"), (0, 1, 0, 0, 0, 0), id="AStartingPodIsNotUnknown"),
        pytest.param(starting("a", NOW - OVERDUE_AFTER), (0, 1, 0, 0, 0, 0), id="TwiceTheSlowestStartIsNotOverdue"),
        pytest.param(starting("a", NOW - OVERDUE_AFTER - 1), (0, 0, 1, 0, 0, 0), id="LongerIs"),
        pytest.param(
            replace(starting("a", NOW - 300), stage=Stage.PENDING, since=NOW),
            (0, 0, 1, 0, 0, 0),
            id="AgeIsFromCreation",
        ),
        pytest.param(replace(UNREADY, since=NOW - 30.0), (0, 1, 0, 0, 0, 0), id="UnreadyForAWhileMayComeBack"),
        pytest.param(replace(UNREADY, since=LONG_AGO), (0, 0, 1, 0, 0, 0), id="UnreadyForLongDoesNot"),
        pytest.param(draining(busy("a")), (0, 0, 0, 1, 0, 0), id="Draining"),
        pytest.param(draining(unheard("a")), (0, 0, 0, 1, 0, 1), id="DrainingAndSilent"),
        pytest.param(drained(unheard("a")), (0, 0, 0, 0, 1, 0), id="ADrainedPodIsKnownToBeIdle"),
    ],
)
def test_what_a_pod_counts_as(pod: Pod, counts: tuple[int, ...]) -> None:
    """Each row: a pod, and how it is counted (ready, starting, overdue, draining, drained, unknown)."""
    f = seen([pod])
    assert (f.ready, f.starting, f.overdue, f.draining, f.drained, f.unknown) == counts


def test_only_pods_that_take_work_count_as_load() -> None:
    """Tasks and sessions of active pods that can be believed; the rest asks for no further slot."""
    fleet = seen([busy("a", 2), HOLDING_B, draining(busy("c", 3)), SILENT_BUSY])
    assert (fleet.inflight, fleet.sessions) == (2, 1)


HOLDING_B = replace(HOLDING, uid="b")
SILENT_BUSY = replace(SILENT, uid="d", activity=Activity(inflight=4, at=NOW - STALE_AFTER - 0.1))


@pytest.mark.parametrize(
    ("pods", "full"),
    [
        pytest.param([busy("a", 2), busy("b", 2)], True, id="EverySlotIsTaken"),
        pytest.param([TALKING, busy("b", 2)], True, id="AHeldSessionTakesASlotToo"),
        pytest.param([busy("a", 2), busy("b", 1)], False, id="OneIsFree"),
        pytest.param([busy("a", 2), unheard("b")], False, id="OneIsNotHeard"),
        pytest.param([busy("a", 2), starting("b")], True, id="AStartingPodHasNoSlotYet"),
        pytest.param([busy("a", 2), draining(busy("b"))], False, id="AnotherWorksBesideThem"),
        pytest.param([starting("a")], False, id="NoPodIsReady"),
    ],
)
def test_when_every_slot_is_taken(pods: list[Pod], full: bool) -> None:
    """Each row: pods of two slots, and whether what they carry now is all they can."""
    assert seen(pods).full is full


def test_a_pod_that_just_fell_silent_blinks() -> None:
    """Its work seems to end, and to return with its next word: for five minutes that is no fall of demand."""
    silent = then([busy("a")], [unheard("a")], 30.0)
    long_silent = seen([unheard("a")], kept(silent), NOW + 301.0)
    assert (silent.blinking, long_silent.blinking) == (1, 0)
    assert seen([unheard("a")]).blinking == 0  # never heard at all: nothing was seen to end


def test_memory_follows_pods_through_every_shuffle() -> None:
    """Rows come in any order, pods come and go; what is remembered stays with its uid."""
    before = [idle("a"), busy("b"), idle("c")]
    memory = replace(kept(seen(before)), named=np.array([1, 0, 2]), settled=np.array([False, True, False]))
    fleet = seen([heard(p, NOW + 10.0) for p in (idle("c"), idle("d"), idle("a"))], memory, NOW + 10.0)
    assert fleet.idle_since.tolist() == [NOW, NOW + 10.0, NOW]
    assert fleet.named.tolist() == [2, 0, 1]
    assert fleet.settled.tolist() == [False, False, False]


UIDS = st.lists(st.sampled_from("abcdefgh"), unique=True)


@given(UIDS, UIDS, st.integers(0, 1000))
def test_memory_is_that_of_each_pod(before: list[str], after: list[str], seed: int) -> None:
    """Asked one by one: of those that stay it is what it was, of new ones nothing, and those that went are told of."""
    chance, count = np.random.default_rng(seed), len(before)
    idle_since, heard = chance.uniform(0.0, NOW, (2, count))
    named, stage, settled = chance.integers(0, 3, count), chance.integers(0, 4, count), chance.random(count) < 0.5
    memory = PodMemory(
        uids=tuple(before), idle_since=idle_since, named=named, stage=stage, heard=heard, settled=settled, coming=1
    )
    aligned, gone = align(memory, tuple(after))
    columns = [(name, getattr(memory, name), getattr(aligned, name)) for name in ("idle_since", "heard", "named")]
    columns += [(name, getattr(memory, name), getattr(aligned, name)) for name in ("stage", "settled")]
    none = {"idle_since": np.nan, "heard": np.nan, "named": 0, "stage": NEW, "settled": False}
    for name, was, now in columns:
        each = dict(zip(before, was.tolist(), strict=True))
        assert now.dtype == was.dtype
        assert np.array_equal(now, [each.get(uid, none[name]) for uid in after], equal_nan=now.dtype.kind == "f")
    assert gone.tolist() == [since for uid, since in zip(before, idle_since.tolist(), strict=True) if uid not in after]
    assert (aligned.uids, aligned.coming) == (tuple(after), 1)
