"""The drain protocol as a small world that is explored whole: pods, their agents, leaders, and all that deletes pods.

Nothing here is code of ours: it says what the protocol promises, so that a design can be weakened in one point and
the shortest way to a lost task be found. Whoever acts does so at any time and in any order; messages arrive late,
again or never; caches are old; leaders are many, and forget nothing that they once heard. The one thing that must not
happen is that a pod is deleted while it works. What a machine does to itself (crash, node loss) is no deletion.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

ACTIVE, DRAINING, DRAINED = "active", "draining", "drained"


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """The protocol, point by point; what stands here as a default is what we build.

    Attributes:
        deletes_guarded: a DELETE of a pod that is not released is refused.
        evictions_guarded: so is an eviction, at the moment at which it is checked.
        labels_guarded: only leaders write phases.
        busy_label: a pod is released while it does not bear the label busy, which follows its work; or, where
            ``label_first``, goes before it. Without, a pod is released once it is drained.
        gate: the agent closes its gate before it says that it is idle.
        restart: how a restarted agent finds its gate: ``kept``, ``forgotten``, read from the pod's ``live`` phase, or
            from an ``old`` copy of it.
        epochs: marks and cancels are numbered, and a word of another number commits nothing and opens nothing.
        uids: a word of a pod that had the same name commits nothing.
        one_way: drained never reverts.
        silence_is_busy: an agent that was not heard is not idle.
        cancels: a drain that is not committed can be called back.
        other_writers: somebody else lowers the replicas too.
        evictions, restarts, rebirths: whether such a thing happens in this world.
        pods, marks: how many there are, and how many marks and cancels each may see.
    """

    deletes_guarded: bool = True
    evictions_guarded: bool = True
    labels_guarded: bool = True
    busy_label: bool = False
    label_first: bool = False
    gate: bool = True
    restart: str = "kept"
    epochs: bool = True
    uids: bool = True
    one_way: bool = True
    silence_is_busy: bool = True
    cancels: bool = True
    other_writers: bool = True
    evictions: bool = True
    restarts: bool = True
    rebirths: bool = True
    pods: int = 1
    marks: int = 3


class Word(NamedTuple):
    """What is on its way: to the agent ``close`` or ``open``, from it ``idle``; of which life of the pod, and epoch."""

    what: str
    life: int
    epoch: int


class Pod(NamedTuple):
    """One name of a pod.

    Attributes:
        life: how many pods had the name before.
        seen: its phase as caches have it.
        open, heard: the agent's gate, and the newest epoch that it obeyed.
        labelled: it bears the label busy.
        evicting: an eviction has been checked and allowed, and not yet carried out.
        mail: every word there ever was; any of them may arrive at any time, and again.
    """

    life: int = 0
    alive: bool = True
    phase: str = ACTIVE
    epoch: int = 0
    seen: str = ACTIVE
    open: bool = True
    heard: int = 0
    busy: bool = False
    labelled: bool = False
    evicting: bool = False
    mail: frozenset[Word] = frozenset()


class World(NamedTuple):
    """The pods, and by how many the replicas are below them."""

    pods: tuple[Pod, ...]
    surplus: int = 0


Step: TypeAlias = tuple[str, Pod]
TAKEN: Final = "taken"


def agent(design: Design, pod: Pod) -> Iterator[Step]:
    """What the agent does by itself."""
    if pod.busy:
        yield "finish", pod._replace(busy=False)
    elif (pod.open or not design.gate) and (pod.labelled or not design.label_first):
        yield "start", pod._replace(busy=True)
    if design.busy_label and (pod.labelled != pod.busy or (design.label_first and not pod.busy)):
        yield "label", pod._replace(labelled=not pod.labelled)
    if design.restarts:
        gate = {"kept": pod.open, "forgotten": True, "live": pod.phase == ACTIVE, "old": pod.seen == ACTIVE}
        yield "restart", pod._replace(open=gate[design.restart], busy=False)


def leaders(design: Design, pod: Pod) -> Iterator[Step]:
    """What any leader may do, however old it is: writes are held against the pod as it is."""
    after = pod.epoch + design.epochs
    if pod.phase == ACTIVE and (pod.epoch < design.marks or not design.epochs):
        yield "mark", pod._replace(phase=DRAINING, epoch=after)
    if pod.phase == DRAINING:
        yield "close", _sent(pod, Word("close", pod.life, pod.epoch))
        if design.cancels and (after <= design.marks or not design.epochs):
            yield "cancel", _sent(pod._replace(phase=ACTIVE, epoch=after), Word("open", pod.life, after))
        if not design.silence_is_busy or any(_commits(design, pod, word) for word in pod.mail):
            yield "commit", pod._replace(phase=DRAINED)
    if pod.phase == DRAINED and not design.one_way:
        yield "undrain", _sent(pod._replace(phase=ACTIVE), Word("open", pod.life, pod.epoch))


def _sent(pod: Pod, word: Word) -> Pod:
    return pod._replace(mail=pod.mail | {word})


def _commits(design: Design, pod: Pod, word: Word) -> bool:
    same = (word.life == pod.life or not design.uids) and (word.epoch == pod.epoch or not design.epochs)
    return word.what == "idle" and same


def post(design: Design, pod: Pod) -> Iterator[Step]:
    """A word arrives at the agent, which obeys none that is older than the last."""
    for word in pod.mail:
        stale = design.epochs and word.epoch < pod.heard
        if word.what == "idle" or word.life != pod.life or stale:
            continue
        told = pod._replace(heard=word.epoch)
        if word.what == "open":
            yield "hear open", told._replace(open=True)
        else:
            told = told._replace(open=pod.open and not design.gate)
            yield "hear close", told if pod.busy else _sent(told, Word("idle", pod.life, word.epoch))


def cluster(design: Design, pod: Pod, surplus: int) -> Iterator[Step]:
    """Caches, evictions in their two steps, and the ReplicaSet, which may pick any pod."""
    released = not pod.labelled if design.busy_label else pod.phase == DRAINED
    if pod.seen != pod.phase:
        yield "cache", pod._replace(seen=pod.phase)
    if not design.labels_guarded and pod.phase != DRAINED:
        yield "tamper", pod._replace(phase=DRAINED)
    if design.evictions and not pod.evicting and (released or not design.evictions_guarded):
        yield "allow eviction", pod._replace(evicting=True)
    if pod.evicting:
        yield f"{TAKEN} by eviction", _gone(design, pod)
    if surplus > 0 and (released or not design.deletes_guarded):
        yield f"{TAKEN} by deletion", _gone(design, pod)


def _gone(design: Design, pod: Pod) -> Pod:
    """What has the name next: nothing, or one more pod, at which old words still arrive."""
    if not design.rebirths or pod.life:
        return pod._replace(alive=False, busy=False, evicting=False, mail=frozenset())
    return Pod(life=pod.life + 1, seen=pod.seen, mail=pod.mail)


def moves(design: Design, world: World) -> Iterator[tuple[str, int, World]]:
    """Everything that can happen next: what, to which pod, and the world after it."""
    for i, pod in enumerate(world.pods):
        if not pod.alive:
            continue
        for actor in (agent(design, pod), leaders(design, pod), post(design, pod), cluster(design, pod, world.surplus)):
            for name, after in actor:
                surplus = world.surplus + (name == "commit") - name.startswith(TAKEN)
                pods = (*world.pods[:i], after, *world.pods[i + 1 :])
                yield name, i, World(pods, min(max(surplus, 0), design.pods))
    if design.other_writers and world.surplus < design.pods:
        yield "lower", 0, world._replace(surplus=world.surplus + 1)


@dataclass(frozen=True, slots=True)
class Explored:
    """What was found.

    Attributes:
        lost: the shortest way to a pod that is deleted while it works; empty where there is none.
        worlds: how many were reached.
        happened: every kind of step that was ever possible.
        broken: the first world that breaks a promise about drained pods, if any.
    """

    lost: tuple[str, ...]
    worlds: int
    happened: frozenset[str]
    broken: World | None


def beginning(design: Design) -> World:
    """Every pod is active, open and idle."""
    return World((Pod(),) * design.pods)


def explore(design: Design) -> Explored:
    """Go everywhere, nearest first, until a task is lost or nothing is left."""
    start = beginning(design)
    came: dict[World, tuple[World, str] | None] = {start: None}
    ahead, happened, broken = deque([start]), set[str](), None
    while ahead:
        world = ahead.popleft()
        for name, i, after in moves(design, world):
            happened.add(name)
            if name.startswith(TAKEN) and world.pods[i].busy:
                return Explored((*_way(came, world), name), len(came), frozenset(happened), broken)
            if after not in came:
                came[after] = world, name
                ahead.append(after)
                broken = broken or (None if all(map(_sound, after.pods)) else after)
    return Explored((), len(came), frozenset(happened), broken)


def _sound(pod: Pod) -> bool:
    """A drained pod is idle behind a closed gate."""
    return not pod.alive or pod.phase != DRAINED or not (pod.busy or pod.open)


def _way(came: dict[World, tuple[World, str] | None], world: World) -> tuple[str, ...]:
    """The steps that led there."""
    steps: list[str] = []
    while (before := came[world]) is not None:
        world, name = before
        steps.append(name)
    return tuple(reversed(steps))
