"""The world: the work, the pool of pods that does it, and the controller that owns them.

Everything happens by ``run_until``; between two calls the world stands still and can be looked at, scaled, and given
drain orders.
"""

from __future__ import annotations

from scaler.core.types import Instant, Seconds
from scaler.sim.events import Agenda
from scaler.sim.owner import Controller
from scaler.sim.pool import Pool, Setting
from scaler.sim.workload import Tasks


class World:
    """One pool.

    Attributes:
        scaled: each change of ``spec.replicas``, with its instant.
    """

    def __init__(self, setting: Setting, tasks: Tasks, *, start: Instant, seed: int) -> None:
        self.setting, self.start, self.agenda = setting, start, Agenda(start)
        self.pool = Pool(setting, tasks, self.agenda, seed=seed, changed=self._changed)
        self.fleet, self.work = self.pool.fleet, self.pool.work
        self.scaled: list[tuple[Instant, int]] = []
        self._controller = Controller(self.pool)

    @property
    def now(self) -> Instant:
        """What time it is here."""
        return self.agenda.now

    @property
    def replicas(self) -> int:
        """``spec.replicas``."""
        return self._controller.replicas

    @property
    def status_replicas(self) -> int:
        """Pods that are not on their way out."""
        return len(self.fleet.stays())

    @property
    def blind(self) -> bool:
        """Whether nothing can be measured now."""
        elapsed: Seconds = self.now - self.start
        return any(begin <= elapsed < end for begin, end in self.setting.blind)

    def run_until(self, end: Instant) -> None:
        """Let time pass."""
        agenda, work = self.agenda, self.work
        work.run(end)
        while agenda.due <= end:
            agenda.step()
            if work.due <= min(end, agenda.due):
                work.run(end)
        agenda.now = max(agenda.now, end)

    def scale(self, replicas: int) -> None:
        """Write ``spec.replicas``."""
        if replicas != self.replicas:
            self.scaled.append((self.now, replicas))
        elif not self.setting.serving.once:
            return
        self._controller.scale(replicas)

    def _changed(self) -> None:
        self._controller.wake()
