"""What an agent holds while it works: a task, a claim on what it is about to fetch, a session between its tasks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Self

from scaler.agent.book import Book

_CURRENT: ContextVar[Handle | None] = ContextVar("gate_current", default=None)


def current(book: Book) -> Handle | None:
    """What the running code is inside of, by this book: the task of a request, a claim, a session."""
    found = _CURRENT.get()
    return found if found is not None and found.is_of(book) else None


class Handle:
    """Something that is begun once and ended once, best by ``with`` or ``async with``."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._number = 0
        self._outer: Token[Handle | None] | None = None

    def is_of(self, book: Book) -> bool:
        """Whether this is in that book."""
        return book is self._book

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

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Run what belongs to this, which has begun; it ends with that. What the gate is asked for inside may begin."""
        outer = _CURRENT.set(self)
        try:
            yield
        finally:
            self._leave(outer)

    def __enter__(self) -> Self:
        self.begin()
        self._outer = _CURRENT.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        outer, self._outer = self._outer, None
        self._leave(outer)

    def _leave(self, outer: Token[Handle | None] | None) -> None:
        """End, wherever that is: a generator may be closed in another context than it was begun in."""
        with suppress(ValueError):
            if outer is not None:
                _CURRENT.reset(outer)
        self.end()

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)


class Task(Handle):
    """A piece of reasoning that must not be cut."""

    def __init__(
        self, book: Book, *, within: Handle | None = None, seconds: float | None = None, earlier: bool = False
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


class Claim(Handle):
    """The right to fetch: while a consumer has it, the pod acknowledges no drain. What it fetches is a task."""

    def task(self, *, seconds: float | None = None) -> Task:
        """What was fetched; begin it before the claim ends."""
        return Task(self._book, within=self, seconds=seconds)

    def end(self) -> None:
        """What there was to fetch is fetched; without effect when it has ended before."""
        self._book.release(self._number)

    def _begin(self) -> int:
        return self._book.claim()


class Session(Handle):
    """A conversation whose state lives in this pod: it holds the pod between its tasks, for its time at the most.

    Its tasks run here even after the gate has closed, for nobody else can run them.
    """

    def __init__(self, book: Book, ttl: float, *, within: Handle | None = None) -> None:
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
