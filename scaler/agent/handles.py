"""What an agent holds while it works: a task, a claim on what it is about to fetch, a session between its tasks."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from scaler.agent.book import Book


class _Handle:
    """Something that is begun once and ended once, best by ``with`` or ``async with``."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._number = 0

    @property
    def number(self) -> int:
        """What the book knows it by; 0 before it has begun."""
        return self._number

    def begin(self) -> Self:
        """Begin.

        Raises:
            GateClosedError: the gate is closed.
            RuntimeError: it has begun before.
        """
        if self._number:
            raise RuntimeError(f"{type(self).__name__} has begun before; ask the gate for another")
        self._number = self._begin()
        return self

    def end(self) -> None:
        """End; without effect when it has ended before."""
        raise NotImplementedError

    def _begin(self) -> int:
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self.begin()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    async def __aenter__(self) -> Self:
        return self.begin()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()


class Task(_Handle):
    """A piece of reasoning that must not be cut."""

    def __init__(
        self, book: Book, *, within: _Handle | None = None, seconds: float | None = None, earlier: bool = False
    ) -> None:
        super().__init__(book)
        self._within = within
        self._seconds = seconds
        self._earlier = earlier

    def another(self, *, seconds: float | None = None) -> Task:
        """A task that this one begins, and that may outlive it: background work, a sub-agent."""
        return Task(self._book, within=self, seconds=seconds)

    def end(self) -> None:
        """It is done; without effect when it has ended before."""
        if self._number:
            self._book.end_task(self._number, within=self._parent)

    def _begin(self) -> int:
        return self._book.begin_task(within=self._parent, seconds=self._seconds, earlier=self._earlier)

    @property
    def _parent(self) -> int | None:
        return None if self._within is None else self._within.number


class Claim(_Handle):
    """The right to fetch: while a consumer has it, the pod acknowledges no drain. What it fetches is a task."""

    def task(self, *, seconds: float | None = None) -> Task:
        """What was fetched; begin it before the claim ends."""
        return Task(self._book, within=self, seconds=seconds)

    def end(self) -> None:
        """What there was to fetch is fetched; without effect when it has ended before."""
        self._book.release(self._number)

    def _begin(self) -> int:
        return self._book.claim()


class Session(_Handle):
    """A conversation whose state lives in this pod: it holds the pod between its tasks, for its time at the most.

    Its tasks run here even after the gate has closed, for nobody else can run them.
    """

    def __init__(self, book: Book, ttl: float, *, within: _Handle | None = None) -> None:
        if not ttl > 0:
            raise ValueError(f"ttl is {ttl}; it must be above 0 seconds")
        super().__init__(book)
        self._ttl = ttl
        self._within = within

    def task(self, *, seconds: float | None = None) -> Task:
        """The next task of the conversation. When it ends, the session's time begins anew."""
        return Task(self._book, within=self, seconds=seconds)

    def renew(self, ttl: float | None = None) -> bool:
        """Let its time begin anew. False when it is over: then the pod may be gone at any moment."""
        return self._book.renew(self._number, ttl)

    def end(self) -> None:
        """The conversation is over; without effect when it was before."""
        self._book.end_session(self._number)

    def _begin(self) -> int:
        return self._book.begin_session(self._ttl, None if self._within is None else self._within.number)
