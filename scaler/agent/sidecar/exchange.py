"""One request and its answer, piece by piece as they come, read along for what they say of tasks."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

import aiohttp
from aiohttp import web
from yarl import URL

from scaler.agent.handles import Task
from scaler.agent.sidecar import a2a
from scaler.agent.sidecar.events import Events
from scaler.agent.sidecar.headers import onwards, passing
from scaler.agent.sidecar.packed import unpacked
from scaler.agent.sidecar.tracker import Tracker, Where

REFUSED: Final = frozenset(range(300, 500)) - {303, 408}  # of these an agent has begun nothing; of no 5xx that is known
LARGEST: Final = 64 * 1024 * 1024  # bytes of a call, an answer or an event that are read; longer ones pass unread

Body: TypeAlias = "bytes | aiohttp.StreamReader | AsyncIterator[bytes] | None"


@dataclass(slots=True)
class Reading:
    """How an answer is read along.

    Attributes:
        call: what was asked, None where it is no JSON-RPC.
        by: what holds the gate for it, None where nothing does.
        settled: whether it is known what was begun; until then the agent may work on what nobody has heard of.
    """

    tracker: Tracker
    where: Where
    call: a2a.Call | None
    by: Task | None
    settled: bool = False

    @property
    def waits(self) -> bool:
        """Whether the agent was asked for work, and nobody knows yet for what."""
        return not self.settled and self.call is not None and self.call.begins

    async def part(self, body: bytes) -> None:
        """An event of a stream, or all of an answer."""
        if self.call is not None:
            await self.tracker.see(a2a.sightings(body), self.where, self.by)
            self.settled = self.settled or a2a.concludes(body, self.call)

    def over(self) -> None:
        """Nothing more comes, whyever."""
        if self.waits and self.by is not None:
            self.tracker.lose(self.by)


class Exchange:
    """A request on its way."""

    def __init__(self, session: aiohttp.ClientSession, url: URL, request: web.Request, reading: Reading) -> None:
        self._session = session
        self._url = url
        self._request = request
        self._reading = reading
        self._answering = False
        self._streams = False

    @property
    def ends_with_client(self) -> bool:
        """Whether its client can leave it: a stream of events, once it has told what was begun."""
        return self._streams and not self._reading.waits

    async def run(self, body: Body) -> web.StreamResponse:
        """Ask the agent and pass on what it answers. ``body`` is the request's.

        An answer is read to its end even when its client has gone, for then the agent works on; a stream of events is
        left with its client. An agent that was asked and does not answer may have begun what it was asked for.
        """
        headers = onwards(self._request.headers, self._request.remote)
        if self._reading.call is not None:
            headers["Accept-Encoding"] = "identity"  # what is read along
        try:
            async with self._session.request(
                self._request.method, self._url, headers=headers, data=body, allow_redirects=False
            ) as answer:
                return await self._pass(answer)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            self._reading.settled = True  # nobody was asked
            return web.json_response({"error": f"the agent cannot be reached: {error}"}, status=502)
        except aiohttp.ClientError as error:
            if self._answering:
                raise  # its client sees by the end of the connection that this is not the end of the answer
            return web.json_response({"error": f"the agent did not answer: {error}"}, status=502)
        finally:
            self._reading.over()

    async def _pass(self, answer: aiohttp.ClientResponse) -> web.StreamResponse:
        self._streams = answer.content_type == "text/event-stream"
        self._answering, self._reading.settled = True, answer.status in REFUSED
        response = web.StreamResponse(status=answer.status, reason=answer.reason, headers=passing(answer.headers))
        here = await _reaches(response.prepare, self._request)
        if self.ends_with_client and not here:
            return response  # its first piece may be long in coming
        read = self._events if self._streams else self._whole
        async with contextlib.aclosing(read(answer)) as pieces:
            async for piece in pieces:
                here = here and (not piece or await _reaches(response.write, piece))
                if self.ends_with_client and not here:
                    break
        if here:
            await _reaches(response.write_eof)
        return response

    async def _whole(self, answer: aiohttp.ClientResponse) -> AsyncGenerator[bytes]:
        """The pieces of an answer. That of a call is of use as a whole alone, and is read before its client has it."""
        kept, length = list[bytes](), 0
        async for piece in answer.content.iter_any():
            length += len(piece)
            if self._reading.call is None or length > LARGEST:
                yield b"".join((*kept, piece))
                kept.clear()
            else:
                kept.append(piece)
        body = b"".join(kept)
        said = unpacked(body, ",".join(answer.headers.getall("Content-Encoding", ())), LARGEST)
        if said is not None and length <= LARGEST:
            await self._reading.part(said)
        yield body

    async def _events(self, answer: aiohttp.ClientResponse) -> AsyncGenerator[bytes]:
        """The pieces of a stream; what an event says of tasks is on disk before its client has it."""
        events = Events(LARGEST)
        async for piece in answer.content.iter_any():
            if self._reading.call is not None:
                for data in events.feed(piece):
                    await self._reading.part(data)
            yield piece
        self._reading.settled &= not events.lost


async def _reaches(send: Callable[..., Awaitable[object]], *what: object) -> bool:
    """Whether the client is there still to take it."""
    with contextlib.suppress(ConnectionError):
        await send(*what)
        return True
    return False
