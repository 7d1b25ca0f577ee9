"""What the pools have learnt, outliving the process: written every few minutes and at the end, read at the start.

A pool that is known from before resumes what it has learnt and is otherwise newly born, so that it lowers nothing for
one idle timer. What is known of pools that are not there is kept for a week: a pool that its trigger brings may come
late, and one that was dropped by mistake comes back.
"""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Protocol

from scaler.config.pool import PoolKey, PoolSpec
from scaler.core.memory import Memory
from scaler.core.record import Json, RecordError
from scaler.core.types import Instant, Seconds
from scaler.live.clock import Clock
from scaler.live.files import own_folder, replace_file
from scaler.live.lasting import pack, unpack
from scaler.live.lines import LineError, seal, unseal
from scaler.live.registry import Registry
from scaler.live.writes import Writes

LOG = logging.getLogger(__name__)
VERSION: Final = 1
SHARDS: Final = 16  # ten thousand pools are then 0.6 MiB each, which a ConfigMap holds too
EVERY: Final[Seconds] = 180.0
REMEMBERED: Final[Seconds] = 7 * 86_400.0  # of a pool that is not there


class Store(Protocol):
    """Where what was learnt is kept: for each pool a text of at most a kibibyte."""

    def load(self) -> dict[PoolKey, str]:
        """All that is kept and can be read. What cannot be read is told in the log and set aside."""
        ...

    def save(self, kept: Mapping[PoolKey, str]) -> None:
        """Keep this in the place of all that was kept.

        Raises:
            OSError: it could not be written, or not all of it; the rest is as it was before.
        """
        ...


class NewerError(Exception):
    """What a newer scaler wrote: says of which version it is, and the way out."""


class Directory:
    """Files in a directory, each for a fixed share of the pools: a header line, then a line for each pool."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = own_folder(folder)
        self._closed: set[Path] = set()

    def load(self) -> dict[PoolKey, str]:
        """All that is kept and can be read."""
        kept: dict[PoolKey, str] = {}
        for path in map(self._path, range(SHARDS)):
            try:
                kept |= self._read(path)
            except (NewerError, OSError) as error:
                self._closed.add(path)
                told = "a file of memories is left as it is, and what its pools learn is not kept"
                LOG.warning(told, extra={"file": str(path), "why": str(error)})
        return kept

    def save(self, kept: Mapping[PoolKey, str]) -> None:
        """Keep this in the place of all that was kept."""
        shares: dict[Path, dict[PoolKey, str]] = {self._path(i): {} for i in range(SHARDS)}
        for key in sorted(kept):
            shares[self._path(zlib.crc32(str(key).encode()) % SHARDS)][key] = kept[key]
        for path, share in shares.items():
            if path not in self._closed:
                self._write(path, share)

    def close(self) -> None:
        """Let others have the directory."""
        self._lock.close()

    def _path(self, shard: int) -> Path:
        return self._folder / f"learnt-{shard:02d}.jsonl"

    def _write(self, path: Path, share: Mapping[PoolKey, str]) -> None:
        if share or path.exists():
            replace_file(path, _content(share))

    def _read(self, path: Path) -> dict[PoolKey, str]:
        """What a file holds. A damaged one gives what can be read of it, and is set aside."""
        try:
            first, *lines = path.read_bytes().splitlines(keepends=True) or [b""]
        except FileNotFoundError:
            return {}
        try:
            pools = _header(first)
        except LineError as error:
            self._set_aside(path, f"line 1: {error}")
            return {}
        kept, why = _pools(lines)
        if why is None and len(lines) != pools:
            why = f"it has {len(lines)} pools and began with {pools}"
        if why is not None:
            self._set_aside(path, f"{why}; {len(kept)} of its {pools} pools could be read")
        return kept

    def _set_aside(self, path: Path, why: str) -> None:
        aside = path.with_suffix(".damaged")
        path.replace(aside)
        told = "a file of memories is damaged and was set aside"
        LOG.warning(told, extra={"file": str(path), "aside": aside.name, "why": why})


def _content(share: Mapping[PoolKey, str]) -> bytes:
    head, _ = seal({"v": VERSION, "pools": len(share)})
    return b"".join([head, *(seal({"pool": str(key), "kept": json.loads(text)})[0] for key, text in share.items())])


def _header(line: bytes) -> int:
    """How many pools follow."""
    head, _ = unseal(line)
    version, pools = head.get("v"), head.get("pools")
    if isinstance(version, int) and version > VERSION:
        raise NewerError(f"it is of version {version}, and this scaler knows up to {VERSION}; run a newer one")
    if version != VERSION or not isinstance(pools, int):
        raise LineError(f"no header: {head!r:.80}")
    return pools


def _pools(lines: list[bytes]) -> tuple[dict[PoolKey, str], str | None]:
    """What can be read of these lines, and what is wrong with the first that cannot."""
    kept: dict[PoolKey, str] = {}
    why: str | None = None
    for number, line in enumerate(lines, start=2):
        try:
            key, text = _pool(unseal(line)[0])
        except LineError as error:
            why = why or f"line {number}: {error}"
        else:
            kept[key] = text
    return kept, why


def _pool(value: Json) -> tuple[PoolKey, str]:
    try:
        namespace, name = value["pool"].split("/")
        float(value["kept"]["at"])
        return PoolKey(namespace, name), json.dumps(value["kept"], separators=(",", ":"))
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise LineError(f"no pool: {error!r:.80}") from error


class Memories:
    """What pools have learnt: given back to those that come, and written down for those that will.

    Attributes:
        writes: counts how often all of it was written.
    """

    def __init__(self, store: Store) -> None:
        self.writes = Writes("memory")
        self._store = store
        self._kept = store.load()
        self._busy = threading.Lock()

    def recall(self, spec: PoolSpec, now: Instant) -> Memory:
        """The memory that a pool begins with."""
        text, pace = self._kept.get(spec.key), spec.policy.pace
        if text is not None:
            try:
                return unpack(json.loads(text), pace, now)
            except RecordError as error:
                told = "what a pool had learnt cannot be read, and it learns anew"
                LOG.warning(told, extra={"pool": str(spec.key), "why": str(error)})
        return Memory.fresh(now, pace)

    async def follow(self, registry: Registry, clock: Clock) -> None:
        """Write down what is learnt, every few minutes."""
        while True:
            await clock.sleep_until(clock.now() + EVERY)
            await asyncio.to_thread(self._save, _learnt(registry), clock.now())

    def save(self, registry: Registry, now: Instant) -> None:
        """Write down what is learnt, now. A failure is told in the log and counted."""
        self._save(_learnt(registry), now)

    def _save(self, learnt: Mapping[PoolKey, Memory], now: Instant) -> None:
        with self._busy:
            kept = {key: text for key, text in self._kept.items() if key not in learnt and not _is_over(text, now)}
            kept |= {key: pack(memory) for key, memory in learnt.items()}
            self._kept = kept
            try:
                self._store.save(kept)
            except OSError as error:
                self.writes.failed()
                told = "what the pools have learnt could not be written, and is tried again"
                LOG.warning(told, extra={"why": str(error)})
            else:
                self.writes.worked(sum(map(len, kept.values())), now)


def _learnt(registry: Registry) -> dict[PoolKey, Memory]:
    return {pool.spec.key: pool.memory for pool in registry}


def _is_over(text: str, now: Instant) -> bool:
    return bool(abs(now - float(json.loads(text)["at"])) > REMEMBERED)
