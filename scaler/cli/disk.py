"""What ``scaler serve`` keeps on disk: what its pools have learnt, and the journal, each where it is asked for."""

from __future__ import annotations

from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path

from scaler.cli.output import fail
from scaler.live.clock import Clock
from scaler.live.journal import Journal
from scaler.live.registry import Recall, Registry, forgetful
from scaler.live.store import Directory, Memories
from scaler.live.writes import Writes


@dataclass(frozen=True, slots=True)
class Folders:
    """Directories of what is learnt and of the journal; None where it is not kept."""

    memory: Path | None = None
    journal: Path | None = None


class Disk:
    """Memory and journal at work."""

    def __init__(self, folders: Folders) -> None:
        self.journal: Journal | None = None
        self._directory: Directory | None = None
        self._memories: Memories | None = None
        option, folder = "--memory", folders.memory
        try:
            if folders.memory is not None:
                self._directory = Directory(folders.memory)
                self._memories = Memories(self._directory)
            option, folder = "--journal", folders.journal
            if folders.journal is not None:
                self.journal = Journal(folders.journal)
        except OSError as error:
            fail(f"{option} {folder} cannot be used: {error.strerror}; name a directory of its own that can be written")

    @property
    def recall(self) -> Recall:
        """What pools begin with."""
        return forgetful if self._memories is None else self._memories.recall

    @property
    def writes(self) -> tuple[Writes, ...]:
        """The counters of all that is written."""
        return tuple(kept.writes for kept in (self._memories, self.journal) if kept is not None)

    def work(self, registry: Registry, clock: Clock) -> tuple[Coroutine[None, None, None], ...]:
        """What has to run for it."""
        memories = () if self._memories is None else (self._memories.follow(registry, clock),)
        return memories if self.journal is None else (*memories, self.journal.follow(clock))

    def close(self, registry: Registry, clock: Clock) -> None:
        """Write down what is still to be written."""
        if self.journal is not None:
            self.journal.close()
        if self._memories is not None:
            self._memories.save(registry, clock.now())
        if self._directory is not None:
            self._directory.close()
