"""What the real StatefulSet controller started and deleted, in which order, and what the simulator's would."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from scaler.sim.statefulset import Member, Step, ordered, parallel


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """What was done to the set from outside, and what its controller did until it came to rest.

    Attributes:
        replicas, first: ``spec.replicas`` and ``spec.ordinals.start`` from now on.
        ready, unready: ordinals that turn so.
        gone: ordinals whose pods, deleted before, have ended.
        did: ordinals started (``+``) and deleted (``-``) in this order, as ``+3``.
    """

    replicas: int
    first: int = 0
    ready: tuple[int, ...] = ()
    unready: tuple[int, ...] = ()
    gone: tuple[int, ...] = ()
    did: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """A set from its creation.

    Attributes:
        parallel: its ``podManagementPolicy``.
        lingers: whether a deleted pod stays until the story says that it is gone; else it is gone at once.
    """

    name: str
    parallel: bool = False
    lingers: bool = False
    acts: tuple[Act, ...] = ()


def disagreements(story: Story) -> Iterator[str]:
    """Acts after which the model does something else, or in another order than the controller can."""
    members: dict[int, Member] = {}
    for number, act in enumerate(story.acts):
        _meddle(members, act)
        steps = list(_until_at_rest(story, members, act))
        if not _same(steps, act):
            yield f"{story.name}, act {number}: the controller did {act.did} and the model {steps}"


def _meddle(members: dict[int, Member], act: Act) -> None:
    members |= {ordinal: Member(ready=ordinal in act.ready) for ordinal in (*act.ready, *act.unready)}
    for ordinal in act.gone:
        del members[ordinal]


def _until_at_rest(story: Story, members: dict[int, Member], act: Act) -> Iterator[Step]:
    """The steps that follow from one another, carried out."""
    choose = parallel if story.parallel else ordered
    while (step := choose(members, act.replicas, act.first)) != Step():
        members |= {ordinal: Member(ready=False) for ordinal in step.start}
        for ordinal in step.delete:
            if story.lingers:
                members[ordinal] = Member(ready=members[ordinal].ready, leaving=True)
            else:
                del members[ordinal]
        yield step


def _same(steps: Iterable[Step], act: Act) -> bool:
    """Whether this was done group by group; within one the order is chance."""
    left = list(act.did)
    for group in (group for step in steps for group in _groups(step, act)):
        now, left = left[: len(group)], left[len(group) :]
        if {*now} != group:
            return False
    return not left


def _groups(step: Step, act: Act) -> Iterator[set[str]]:
    """What is done at the same time: starts in groups of 1, 2, 4 of all that are wanted, standing ones included."""
    wanted = Step(delete=tuple(range(act.first, act.first + act.replicas)))
    for batch in wanted.batches():
        if group := {f"+{ordinal}" for ordinal in batch if ordinal in step.start}:
            yield group
    for batch in step.batches():
        yield {f"-{ordinal}" for ordinal in batch}
