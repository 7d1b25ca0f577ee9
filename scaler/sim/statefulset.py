"""Which pods a StatefulSet starts and deletes.

After ``updateStatefulSet`` of pkg/controller/statefulset/stateful_set_control.go: as many ordinals as replicas, from
``spec.ordinals.start`` (here ``first``), are wanted; all others are condemned and go from the top. An ordinal whose pod
is on its way out is not started again.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Member:
    """One pod, as the controller sees it."""

    ready: bool
    leaving: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """What the controller does in one look: ordinals to start, and to delete in this order.

    A parallel set deletes in ``batches`` that double, and a deletion that fails ends it there.
    """

    start: tuple[int, ...] = ()
    delete: tuple[int, ...] = ()

    def batches(self) -> Iterator[tuple[int, ...]]:
        """The deletions in groups of 1, 2, 4 and so on, each carried out whole."""
        left, size = iter(self.delete), 1
        while batch := tuple(itertools.islice(left, size)):
            yield batch
            size *= 2


def ordered(members: Mapping[int, Member], replicas: int, first: int = 0) -> Step:
    """``OrderedReady``: one change at a time, and no deletion before every wanted pod is ready."""
    for ordinal in range(first, first + replicas):
        member = members.get(ordinal)
        if member is None:
            return Step(start=(ordinal,))
        if member.leaving or not member.ready:
            return Step()
    condemned = _condemned(members, replicas, first)
    unhealthy = [ordinal for ordinal in condemned if members[ordinal].leaving or not members[ordinal].ready]
    for ordinal in condemned[:1]:
        # A pod that is not ready goes only if it is the lowest such, so that a broken set is not taken apart.
        if members[ordinal].leaving or (not members[ordinal].ready and ordinal != min(unhealthy)):
            return Step()
        return Step(delete=(ordinal,))
    return Step()


def parallel(members: Mapping[int, Member], replicas: int, first: int = 0) -> Step:
    """``Parallel``: everything at once, whoever is ready."""
    start = tuple(ordinal for ordinal in range(first, first + replicas) if ordinal not in members)
    return Step(start, tuple(o for o in _condemned(members, replicas, first) if not members[o].leaving))


def _condemned(members: Iterable[int], replicas: int, first: int) -> list[int]:
    return sorted((ordinal for ordinal in members if not first <= ordinal < first + replicas), reverse=True)
