"""Where pods stand: on nodes that are always there, or on nodes that come when they are wanted and go when empty."""

from __future__ import annotations

import math
import random
from collections import deque
from dataclasses import dataclass
from typing import Protocol

from scaler.core.types import PodUid, Seconds
from scaler.sim.events import Agenda
from scaler.sim.fleet import NO_NODE
from scaler.sim.workload import Lognormal

NODE = Lognormal(math.log(75.0), 0.35, "a cloud's node from request to Ready, image not counted")
GPU_NODE = Lognormal(math.log(240.0), 0.45, "the same with a GPU and its driver")
STAYS: Seconds = 600.0  # the cluster autoscaler's default for a node that is not needed


@dataclass(frozen=True, slots=True, kw_only=True)
class Supplying:
    """Nodes that are bought as they are wanted.

    Attributes:
        room: pods that a node carries.
        delay: seconds from the request until it is ready.
        stays: seconds that an empty node is kept.
        reclaimed: mean seconds until the cloud takes a node back, as it does with spot capacity; None: it never does.
        notice: seconds of warning before it is gone, and its pods with it.
    """

    room: int = 4
    delay: Lognormal = NODE
    stays: Seconds = STAYS
    reclaimed: Seconds | None = None
    notice: Seconds = 120.0


class Tenant(Protocol):
    """Whose pods stand on the nodes."""

    def bind(self, uid: PodUid, node: int) -> bool:
        """A pod that waited has a node now; False where it is no longer wanted."""
        ...

    def evict(self, node: int, notice: Seconds) -> None:
        """The node goes after the notice, and takes its pods with it."""
        ...


class Nodes:
    """The nodes of one world.

    Attributes:
        loads: pods that are not leaving, by node, of the nodes that take pods.
        waiting: pods without a node, oldest first.
        bought: nodes requested so far.
    """

    def __init__(self, agenda: Agenda, nodes: int | Supplying, tenant: Tenant, *, seed: int) -> None:
        self.waiting: deque[PodUid] = deque()
        self.bought = 0
        self._supplying = None if isinstance(nodes, int) else nodes
        self.loads: dict[int, int] = dict.fromkeys(range(nodes), 0) if isinstance(nodes, int) else {}
        self._agenda, self._tenant = agenda, tenant
        self._random = random.Random(f"nodes {seed}")
        self._coming = 0
        self._idle: dict[int, int] = {}  # how often each has become empty

    def place(self, uid: PodUid) -> int:
        """The emptiest node with room, or ``NO_NODE`` until there is one."""
        node = min(self.loads, key=lambda node: (self.loads[node], node), default=NO_NODE)
        if node != NO_NODE and self._has_room(node):
            self.loads[node] += 1
            return node
        self.waiting.append(uid)
        self._buy()
        return NO_NODE

    def leave(self, node: int) -> None:
        """A pod goes from this node."""
        if node in self.loads:
            self.loads[node] -= 1
            self._fill(node)

    def _has_room(self, node: int) -> bool:
        return self._supplying is None or self.loads[node] < self._supplying.room

    def _buy(self) -> None:
        """Request as many nodes as the waiting pods need beyond those that are coming."""
        supplying = self._supplying
        while supplying is not None and self._coming * supplying.room < len(self.waiting):
            self._coming += 1
            delay = self._random.lognormvariate(supplying.delay.mu, supplying.delay.sigma)
            self._agenda.at(self._agenda.now + delay, self._arrive, self.bought)
            self.bought += 1

    def _arrive(self, node: int) -> None:
        self._coming -= 1
        self.loads[node] = 0
        if self._supplying is not None and self._supplying.reclaimed is not None:
            life = self._random.expovariate(1.0 / self._supplying.reclaimed)
            self._agenda.at(self._agenda.now + life, self._reclaim, node)
        self._fill(node)

    def _fill(self, node: int) -> None:
        """Bind those that wait, as far as there is room; a node that stays empty goes in the end."""
        while self.waiting and self._has_room(node):
            if self._tenant.bind(self.waiting.popleft(), node):
                self.loads[node] += 1
        if self._supplying is not None and not self.loads[node]:
            turn = self._idle[node] = self._idle.get(node, 0) + 1
            self._agenda.at(self._agenda.now + self._supplying.stays, self._retire, (node, turn))

    def _retire(self, was: tuple[int, int]) -> None:
        """A node has been empty for long."""
        node, turn = was
        if self.loads.get(node) == 0 and self._idle[node] == turn:
            del self.loads[node], self._idle[node]

    def _reclaim(self, node: int) -> None:
        if node in self.loads and self._supplying is not None:
            del self.loads[node]
            self._idle.pop(node, None)
            self._tenant.evict(node, self._supplying.notice)
