"""The roll of pods: what each said last at its URL, and the columns the decision reads.

A pod that does not answer properly stays on the roll, under the uid it last gave and in the state it was last seen in,
with its activity unknown: it counts as busy. One that never answered is listed under its URL, as ready, and so is one
that was still starting when it was last heard: so it is neither taken away nor replaced. A uid that two pods claim is
believed of neither.

A drained pod that has been silent for long is gone, and if there is a pod at its URL, it is another: it is listed no
more, and who counts the replicas knows whether one is missing from the list.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from scaler.core.pods import NO_ACK, NO_ORDINAL, NO_ZONE, Phase, Pods, Stage
from scaler.core.types import Instant, PodUid, Seconds
from scaler.sources.activity_answer import Report
from scaler.sources.health import Failed, Fault

GONE_AFTER: Seconds = 60.0  # a drained pod is deleted within seconds; one that is only slow has answered by then
FORGOTTEN_AFTER: Seconds = 900.0  # a URL that nobody has asked for so long is no pod of ours any more

Answer: TypeAlias = Report | Failed


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A pod as it was last seen at its URL, at ``heard``: all that is not activity."""

    uid: PodUid
    heard: Instant
    created_at: Instant
    since: Instant
    stage: Stage = Stage.READY
    phase: Phase = Phase.ACTIVE
    ordinal: int = NO_ORDINAL
    epoch: int = 0
    acked: int = NO_ACK

    def gone(self, now: Instant) -> bool:
        """Whether this one, which is silent, is no more: it was drained, and has been silent for long."""
        return self.phase is Phase.DRAINED and abs(now - self.heard) > GONE_AFTER

    def silent(self) -> Seen:
        """The pod while it is silent: it may be ready by now."""
        return replace(self, stage=Stage.READY) if self.stage is Stage.STARTING else self


class Roll:
    """All pods ever asked and not yet forgotten, by URL."""

    def __init__(self) -> None:
        self._seen: dict[str, Seen] = {}
        self._asked: dict[str, Instant] = {}
        self._swept_at: Instant = -math.inf

    @property
    def urls(self) -> Collection[str]:
        """Every URL on the roll."""
        return self._seen.keys()

    def call(self, answers: Mapping[str, Answer], now: Instant) -> tuple[Pods, dict[str, Failed]]:
        """Enter one round's answers.

        Returns:
            The pods in the order of ``answers`` but for those that are gone, and by URL why some are unknown.
        """
        self._asked.update(dict.fromkeys(answers, now))
        failed = self._failures(answers)
        for url, answer in answers.items():
            if isinstance(answer, Report) and url not in failed:
                self._seen[url] = seen(self._seen.get(url), answer, now)
            elif url not in self._seen:
                self._seen[url] = Seen(uid=url, heard=now, created_at=now, since=now)
        self._sweep(now)
        return self._columns(answers, failed, now), failed

    def _failures(self, answers: Mapping[str, Answer]) -> dict[str, Failed]:
        """By URL, why it has no answer that may be believed."""
        uids = {url: self._claim(url, answer) for url, answer in answers.items()}
        claims = Counter(uids.values())
        failed = {url: answer for url, answer in answers.items() if isinstance(answer, Failed)}
        for url, uid in uids.items():
            if claims[uid] > 1:
                failed.setdefault(url, Failed(Fault.CONFLICT, f"another URL of the pool stands for uid {uid} too"))
        return failed

    def _claim(self, url: str, answer: Answer) -> PodUid:
        if isinstance(answer, Report):
            return answer.uid
        was = self._seen.get(url)
        return url if was is None else was.uid

    def _columns(self, answers: Mapping[str, Answer], failed: Mapping[str, Failed], now: Instant) -> Pods:
        listed = {url: a for url, a in answers.items() if url not in failed or not self._seen[url].gone(now)}
        rows = [self._seen[url].silent() if url in failed else self._seen[url] for url in listed]
        heard = [a if isinstance(a, Report) and url not in failed else None for url, a in listed.items()]
        return Pods(
            uids=_distinct(listed, rows),
            created_at=np.array([s.created_at for s in rows], dtype=np.float64),
            since=np.array([s.since for s in rows], dtype=np.float64),
            stage=np.array([s.stage for s in rows], dtype=np.int64),
            phase=np.array([s.phase for s in rows], dtype=np.int64),
            inflight=np.array([0 if r is None else r.inflight for r in heard], dtype=np.int64),
            sessions=np.array([0 if r is None else r.sessions for r in heard], dtype=np.int64),
            seen_at=np.array([math.nan if r is None else now for r in heard], dtype=np.float64),
            ordinal=np.array([s.ordinal for s in rows], dtype=np.int64),
            epoch=np.array([s.epoch for s in rows], dtype=np.int64),
            acked=np.array([s.acked for s in rows], dtype=np.int64),
            displaced=np.zeros(len(rows), dtype=np.bool_),  # a list of URLs knows no nodes
            for_node=np.zeros(len(rows), dtype=np.bool_),
            zone=np.full(len(rows), NO_ZONE, dtype=np.int64),
        )

    def _sweep(self, now: Instant) -> None:
        """Forget, now and then, the URLs that have left every pool."""
        if abs(now - self._swept_at) < FORGOTTEN_AFTER:
            return
        self._swept_at = now
        self._asked = {url: at for url, at in self._asked.items() if abs(now - at) < FORGOTTEN_AFTER}
        self._seen = {url: seen for url, seen in self._seen.items() if url in self._asked}


def seen(was: Seen | None, said: Report, now: Instant) -> Seen:
    """A pod after it has said this. Its own clock is trusted for no later than ours; a new uid is a new pod."""
    before = was if was is not None and was.uid == said.uid else None
    created_at = min(now, said.started_at) if said.started_at is not None else before.created_at if before else now
    stage = _stage(before, ready=said.ready)
    since = created_at if stage is Stage.STARTING else now
    return Seen(
        uid=said.uid,
        heard=now,
        created_at=created_at,
        since=before.since if before and before.stage is stage else since,
        stage=stage,
        phase=said.phase,
        ordinal=said.ordinal,
        epoch=said.epoch,
        acked=said.acked,
    )


def _stage(before: Seen | None, *, ready: bool) -> Stage:
    if ready:
        return Stage.READY
    return Stage.STARTING if before is None or before.stage is Stage.STARTING else Stage.UNREADY


def _distinct(urls: Iterable[str], rows: Iterable[Seen]) -> tuple[PodUid, ...]:
    """Each pod's uid; where an earlier one has it already, its URL, which no uid can be."""
    taken: dict[PodUid, None] = {}
    for url, row in zip(urls, rows, strict=True):
        taken[url if row.uid in taken else row.uid] = None
    return tuple(taken)
