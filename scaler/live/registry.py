"""The pools that are evaluated: what each is asked to be, what it remembers, and what was read of it last."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Final, TypeAlias

import numpy as np

from scaler.config.pool import ActivityEndpoints, JobStrategy, PodSource, PoolKey, PoolSpec, SignalSource, WatchedPods
from scaler.config.schedule import windows
from scaler.core.memory import Memory
from scaler.core.numbers import whole
from scaler.core.pods import Phase, Pods
from scaler.core.types import Announcement, Instant, Known, Observation, Sample, Signal, Unknown
from scaler.live.hints import Hints

UNREAD: Final = Unknown("not read yet")
UNTRIED: Final = Unknown("the guards have not been tried yet")
NO_PODS: Final = Unknown("the pool has no source of pods")
Recall: TypeAlias = Callable[[PoolSpec, Instant], Memory]  # what a pool remembers that comes now
EDGES: Final = (Signal.QUEUE, Signal.PENDING)  # work that waits: a rise of these is answered at once


def forgetful(spec: PoolSpec, now: Instant) -> Memory:
    """Recalls nothing: every pool is new."""
    return Memory.fresh(now, spec.policy.pace)


class Pool:
    """One pool. Its spec may change under it; its memory, and what was read from sources that stay, does not.

    Attributes:
        hints: what callers have announced.
        unguarded: why the guards before its pods are not known to hold, which who tries them says.
        stuck: pods that take long, by what and for how long, as whoever watches them counts them.
    """

    def __init__(self, spec: PoolSpec, now: Instant, recall: Recall = forgetful) -> None:
        self.memory = recall(spec, now)
        self._spec = spec
        self._replicas: Sample = UNREAD
        self._pods: Pods | Unknown = UNREAD
        self._signals: dict[Signal, Sample] = dict.fromkeys(spec.signals, UNREAD)
        self._is_read = False
        self.hints = Hints()
        self.unguarded: Unknown | None = UNTRIED if isinstance(spec.pods, WatchedPods) else None
        self.stuck: Mapping[tuple[str, str], int] = {}

    @property
    def spec(self) -> PoolSpec:
        """What it is asked to be."""
        return self._spec

    @property
    def is_read(self) -> bool:
        """Whether each of its sources has been read at least once, with whatever result."""
        if not self._is_read:  # asked with each reading, and true for good once it is
            spec = self._spec
            pods = spec.pods is None or self._pods is not UNREAD
            replicas = spec.replicas is None or self._replicas is not UNREAD
            self._is_read = pods and replicas and UNREAD not in self._signals.values()
        return self._is_read

    @property
    def is_blind(self) -> bool:
        """Whether its pods have not been read yet, so that a target decided now might be below them."""
        return self._spec.pods is not None and self._pods is UNREAD

    def change(self, spec: PoolSpec) -> None:
        """Ask it to be something else from the next tick on."""
        was, self._spec = self._spec, spec
        self._signals = {s: self._signals[s] if was.signals.get(s) == at else UNREAD for s, at in spec.signals.items()}
        self._replicas = self._replicas if was.replicas == spec.replicas else UNREAD
        self._pods = self._pods if was.pods == spec.pods else UNREAD
        self._is_read = False

    def take_signal(self, name: Signal, source: SignalSource, sample: Sample, now: Instant) -> bool:
        """Keep what was read at ``now``. True if the pool should tick at once.

        That is when work that waits has risen, and when its sources have all been read for the first time. A reading
        that comes after its source was replaced is dropped; so it is with the other two.
        """
        if self._spec.signals.get(name) != source:
            return False
        was, unread = self._signals[name], not self.is_read
        self._signals[name] = kept = self._kept(was, sample, now)
        urgent = self.is_watched(name) and self._is_urgent(was, kept)
        return urgent or (unread and self.is_read)

    def is_watched(self, name: Signal) -> bool:
        """Whether the pool answers a change of this signal at once, so that it is read often."""
        return name in EDGES or (name is Signal.INFLIGHT and self._spec.job_strategy is not None)

    def _is_urgent(self, was: Sample, now: Sample) -> bool:
        """A rise, and for a ScaledJob a fall too: KEDA would start a Job for every task that is done by now."""
        if isinstance(was, Unknown) or isinstance(now, Unknown):
            return False
        return now.value > was.value or (now.value < was.value and self._spec.job_strategy is not None)

    def take_replicas(self, source: SignalSource, sample: Sample, now: Instant) -> bool:
        """Keep what was read at ``now``. True if the pool should tick at once."""
        if self._spec.replicas != source:
            return False
        unread = not self.is_read
        self._replicas = self._kept(self._replicas, sample, now)
        return unread and self.is_read

    def take_pods(self, source: PodSource, pods: Pods | Unknown) -> bool:
        """Keep what was read. True if the pool should tick at once."""
        if self._spec.pods != source:
            return False
        unread = not self.is_read
        self._pods = pods
        return unread and self.is_read

    def observe(self, now: Instant) -> Observation:
        """All that is known of it at ``now``."""
        replicas = self._standing(now)
        return Observation(
            replicas=replicas,
            pods=self._seen(replicas),
            signals=dict(self._signals),
            announced=(*windows(self._spec.schedule, now), *self._hinted(now)),
            unguarded=self.unguarded if isinstance(self._spec.pods, WatchedPods) else None,
        )

    def _seen(self, replicas: Sample) -> Pods | Unknown:
        """The pods. The API server's list of them is complete, and of those that are asked by URL some may lack one."""
        match self._spec.pods:
            case None:
                return NO_PODS
            case WatchedPods():
                return self._pods
            case ActivityEndpoints():
                return with_unlisted(self._pods, replicas)

    def _hinted(self, now: Instant) -> Iterator[Announcement]:
        """The hints that have not ended, by the slots that a pod has now."""
        return (hint.announcement(self._spec.policy.slots_per_pod) for hint in self.hints.standing(now))

    def _kept(self, was: Sample, sample: Sample, now: Instant) -> Sample:
        """One missed reading blinds nobody: the last sample stands while the policy calls it fresh.

        A source's clock that runs ahead of ours must not make its samples last longer, so none is from the future.
        """
        if isinstance(sample, Known):
            return Known(sample.value, min(sample.at, now))
        return was if isinstance(was, Known) and abs(now - was.at) <= self._spec.policy.stale_after else sample

    def _standing(self, now: Instant) -> Sample:
        """The live replicas, as of when they were certainly so; where no source says, the pods not drained."""
        spec, read = self._spec, self._replicas
        if spec.replicas is None and spec.job_strategy is not None:
            return Known(float(self._jobs()), now)
        if spec.replicas is None:
            return _counted(self._pods, spec.pods, now)
        return Known(read.value, read.at - spec.replicas_behind) if isinstance(read, Known) else read

    def _jobs(self) -> int:
        """Jobs that are known to run. KEDA counts them itself and stops none, so one too few here harms nobody."""
        if isinstance(self._pods, Pods):
            return int(np.count_nonzero(self._pods.phase != Phase.DRAINED))
        running = self._signals.get(Signal.INFLIGHT)
        return whole(running.value / self._spec.policy.slots_per_pod) if isinstance(running, Known) else 0


def _keeping(memory: Memory) -> Recall:
    """Recalls this, whatever the pool."""
    return lambda _, __: memory


def _counted(pods: Pods | Unknown, source: PodSource | None, now: Instant) -> Sample:
    """The pods not drained, once each has been heard: one that never was is listed under its URL, and may not be."""
    if isinstance(pods, Unknown) or not isinstance(source, ActivityEndpoints):
        return Unknown("no source says how many replicas there are")
    if never := set(pods.uids).intersection(source.urls):
        silent = f"{len(never)} of {len(pods)} pods have never given an answer of their own, {min(never)} among them"
        return Unknown(f"{silent}; so set a source of replicas, or take away the URLs that have no pod")
    return Known(float(np.count_nonzero(pods.phase != Phase.DRAINED)), now)


def with_unlisted(pods: Pods | Unknown, replicas: Sample) -> Pods | Unknown:
    """The pods, with one never heard for each live replica that the list lacks: it may exist, and may be at work."""
    if isinstance(pods, Unknown) or not isinstance(replicas, Known):
        return pods
    missing = int(replicas.value) - len(pods)
    return pods.beside([f"unlisted-{i}" for i in range(missing)]) if missing > 0 else pods


class Registry:
    """Pools by key. Belongs to one event loop; one reader may wait for changes."""

    def __init__(self, recall: Recall = forgetful) -> None:
        self._recall = recall
        self._pools: dict[PoolKey, Pool] = {}
        self._touched: dict[PoolKey, None] = {}
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._pools)

    def __iter__(self) -> Iterator[Pool]:
        """Every pool, as of now."""
        return iter(tuple(self._pools.values()))

    def get(self, key: PoolKey) -> Pool | None:
        """The pool, if there is one."""
        return self._pools.get(key)

    def strategy(self, key: PoolKey) -> JobStrategy | None:
        """How KEDA counts the Jobs of a ScaledJob; None of any other pool."""
        pool = self._pools.get(key)
        return None if pool is None else pool.spec.job_strategy

    def put(self, spec: PoolSpec, now: Instant) -> Pool:
        """Add the pool, or change it and let it keep its memory."""
        pool = self._pools.get(spec.key)
        if pool is None:
            pool = self._pools[spec.key] = Pool(spec, now, self._recall)
        elif pool.spec == spec:
            return pool
        else:
            pool.change(spec)
        self._touch(spec.key)
        return pool

    def remove(self, key: PoolKey) -> None:
        """Take the pool and its memory away, if it is there."""
        if self._pools.pop(key, None) is not None:
            self._touch(key)

    def replace(self, specs: Iterable[PoolSpec], now: Instant) -> None:
        """Make these the only pools; those that stay keep their memory."""
        wanted = {spec.key: spec for spec in specs}
        for key in self._pools.keys() - wanted.keys():
            self.remove(key)
        for spec in wanted.values():
            self.put(spec, now)

    def recall_by(self, recall: Callable[[PoolSpec, Instant], Memory | None]) -> None:
        """Let pools that come from now on begin with what this recalls, and else with what they would have before."""
        before = self._recall
        self._recall = lambda spec, now: recall(spec, now) or before(spec, now)

    def begin_anew(self, now: Instant) -> None:
        """Let this process begin anew with each pool, as one that has just been given the right to act.

        What was learnt of it stays. Its target was another's, so there is none; what was read is read again; hints were
        another's too; and it lowers nothing for one idle timer.
        """
        for key, pool in tuple(self._pools.items()):
            memory = replace(pool.memory, born=now, target=None, told_at=None)
            self._pools[key] = Pool(pool.spec, now, _keeping(memory))
            self._touch(key)

    async def changed(self) -> tuple[PoolKey, ...]:
        """The pools that were added, changed or removed since this was last awaited, once there is one."""
        await self._changed.wait()
        self._changed.clear()
        touched, self._touched = self._touched, {}
        return tuple(touched)

    def _touch(self, key: PoolKey) -> None:
        self._touched[key] = None
        self._changed.set()
