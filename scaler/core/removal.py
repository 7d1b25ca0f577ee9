"""What may fall this tick, and why the rest may not."""

from __future__ import annotations

from dataclasses import replace

from scaler.core.choice import Choice, Terms, choose
from scaler.core.dampen import Veto, flapping
from scaler.core.demand import Work
from scaler.core.memory import Memory, Spare
from scaler.core.passing import maker, passing
from scaler.core.policy import Guarantee
from scaler.core.reasons import Reason
from scaler.core.senses import Given
from scaler.core.types import Seconds, Supply, Unknown

NONE = Spare()


@passing
class Removal:
    """Pods that start to drain or (best-effort) leave at once, replicas given up, and the memory of what was spare."""

    choice: Choice | None
    leaving: int
    why: Reason
    spare: Spare
    kept: Veto | None

    @property
    def chosen(self) -> tuple[int, ...]:
        """Rows of the pods that leave."""
        return self.choice.chosen if self.choice else ()


_new_removal = maker(Removal)
_new_terms = maker(Terms)


def stop(given: Given, work: Work) -> Veto | None:
    """Why nobody may leave, not even to be replaced: the first that holds."""
    policy, stale = given.policy, given.senses.stale
    if policy.pause_down:
        return Veto(reason=Reason.PAUSED, why="pause_down")
    if isinstance(work.bound, Unknown):
        return Veto(reason=Reason.NO_SIGNAL, why=work.bound.why)
    if policy.guarantee is Guarantee.PROTECTED and (bare := _unprotected(given)) is not None:
        return bare
    return None if stale is None else Veto(reason=Reason.STALE, why=stale)


def forbid(given: Given, memory: Memory, stopped: Veto | None) -> Veto | None:
    """Why nothing may fall: the first that holds; ``stopped`` is why nobody may leave at all."""
    if stopped is not None:
        return stopped
    policy, lessons = given.policy, memory.lessons
    young = given.now - memory.born
    if young < lessons.gaps.timer:
        return Veto(reason=Reason.NEWCOMER, why=f"{young:.0f} of {lessons.gaps.timer:.0f} s")
    return flapping(policy, memory.moves, startup=lessons.startups.p90, now=given.now)


def _unprotected(given: Given) -> Veto | None:
    """Why the promise to a protected pool could not be kept, if any pod of it left now."""
    fleet, unguarded = given.fleet, given.observation.unguarded
    if isinstance(fleet, Unknown):
        return Veto(reason=Reason.UNSEEN, why=fleet.why)
    return None if unguarded is None else Veto(reason=Reason.UNGUARDED, why=unguarded.why)


@passing
class Excess:
    """Supply beyond what must be kept, in pods; why nothing may fall; and how long a pod must have been idle.

    ``lasting`` of the surplus was wanted at no time within the timer, whichever pods worked then. Of those that serve
    ``spare`` are not needed, and ``beyond`` are more than there may be. Where ``oldest`` is not 0, only so many pods,
    the oldest, may leave.
    """

    surplus: int
    lasting: int
    spare: int
    beyond: int
    supply: Supply
    veto: Veto | None
    timer: Seconds
    oldest: int


def plan(given: Given, was: Spare, excess: Excess) -> Removal:
    """Withdraw orders that never became pods first, then the longest idle pods."""
    veto, supply, fleet, policy = excess.veto, excess.supply, given.fleet, given.policy
    surplus = 0 if veto else max(0, excess.surplus)
    if isinstance(fleet, Unknown):
        spare, leaving = _lasting(given, was, surplus, excess.timer)
        kept = None if leaving else _kept_unseen(excess)
        return _new_removal(choice=None, leaving=leaving, why=Reason.IDLE, spare=spare, kept=kept)
    unseen, coming = min(surplus, supply.ordered), _coming(supply)
    spare, withdrawn = _lasting(given, was, unseen, excess.timer)
    terms = _new_terms(
        surplus=surplus - unseen - coming,
        lasting=min(surplus, excess.lasting) - unseen - coming,
        spare=excess.spare,
        beyond=excess.beyond,
        timer=excess.timer,
        oldest=excess.oldest,
        uneven=was.uneven,
    )
    choice = choose(fleet, policy, terms)
    uneven = (was.uneven or given.now) if choice.uneven else None
    at_once = len(choice.chosen) if policy.guarantee is Guarantee.BEST_EFFORT else 0
    return _new_removal(
        choice=choice,
        leaving=withdrawn + at_once,
        why=Reason.IDLE if at_once else Reason.WITHDRAWN,
        spare=spare if uneven is None else replace(spare, uneven=uneven),
        kept=_kept(choice, excess, orders=0 if withdrawn else unseen),
    )


def _coming(supply: Supply) -> int:
    """Pods that count as supply, serve nobody yet and may never start: nobody leaves because there are these."""
    return supply.starting + max(0, supply.overdue - 1)


def _lasting(given: Given, was: Spare, spare: int, timer: Seconds) -> tuple[Spare, int]:
    """Give up what was spare all through the idle timer, and in enough ticks running."""
    if spare <= 0:
        return NONE, 0
    if was.since is None:
        return Spare(since=given.now, named=1, least=spare), 0
    named, least = was.named + 1, min(was.least, spare)
    lasted = given.now - was.since >= timer and named >= given.policy.pace.namings
    return (NONE, least) if lasted else (Spare(since=was.since, named=named, least=least), 0)


def _kept_unseen(excess: Excess) -> Veto | None:
    """Why what is spare stays this tick, where nobody knows which pods are: of these only the timer can run."""
    if excess.surplus <= 0:
        return None
    return excess.veto or Veto(reason=Reason.IDLE_TIMER, why=f"{excess.surplus} spare, timer {excess.timer:.0f} s")


def _kept(choice: Choice, excess: Excess, orders: int) -> Veto | None:
    """Why what is spare stays this tick, for the one who asks; ``orders`` of it are pods that were never seen."""
    if excess.surplus <= 0 or choice.chosen:
        return None
    if excess.veto:
        return excess.veto
    pods = excess.surplus - min(excess.surplus, excess.supply.ordered)
    if not pods:
        why = f"{orders} orders not seen as pods, timer {excess.timer:.0f} s"
        return Veto(reason=Reason.IDLE_TIMER, why=why) if orders else None
    spare = f"{pods} spare"
    if choice.blocked:
        return Veto(reason=Reason.ORDINAL, why=f"{spare}, {choice.ripe} idle below a pod that must stay")
    coming = min(pods, _coming(excess.supply))
    if excess.supply.idle and pods > coming:
        why = f"{spare}, {excess.supply.idle} idle, timer {excess.timer:.0f} s"
        turn = f"; {choice.uneven} wait for a fuller zone's" if choice.uneven else ""
        return Veto(reason=Reason.IDLE_TIMER, why=f"{why}{turn}")
    return Veto(reason=Reason.BUSY, why=f"{spare}, {coming} of them on their way" if coming else spare)
