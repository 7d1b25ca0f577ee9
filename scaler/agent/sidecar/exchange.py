"""One request and its answer, piece by piece as they come, read along for what they say of tasks."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import aiohttp
from aiohttp import web
from yarl import URL

from scaler.agent.handles import Task
from scaler.agent.sidecar import a2a
from scaler.agent.sidecar.events import Events
from scaler.agent.sidecar.headers import onwards, passing
from scaler.agent.sidecar.tracker import Tracker, Where

REFUSED: Final = 400  # from this status on the agent has begun nothing
LARGEST: Final = 64 * 1024 * 1024  # bytes of a call, an answer or an event that are read; longer ones pass unread


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

    async def whole(self, body: bytes | None) -> None:
        """An answer has come to its end; None where it was too long or cannot be read."""
        if self.call is None:
            return
        if body is None or not a2a.is_whole(body):
            self._lost()
        else:
            await self.part(body)

    async def part(self, body: bytes) -> None:
        """An event of a stream, or all of an answer."""
        await self.tracker.see(a2a.sightings(body), self.where, self.by)
        self.settled = self.settled or a2a.is_whole(body)

    def over(self) -> None:
        """Nothing more comes, whyever."""
        if not self.settled:
            self._lost()

    def _lost(self) -> None:
        self.settled = True
        if self.call is not None and self.call.begins and self.by is not None:
            self.tracker.lose(self.by)


class Exchange:
    """A request on its way. ``streams`` once its answer is a stream of events, which its client can leave."""

    def __init__(self, session: aiohttp.ClientSession, upstream: str, request: web.Request, reading: Reading) -> None:
        self._session = session
        self._url = URL(upstream + request.raw_path, encoded=True)
        self._request = request
        self._reading = reading
        self._answering = False
        self.streams = False

    async def run(self, body: bytes | None) -> web.StreamResponse:
        """Ask the agent and pass on what it answers. ``body`` is the request's where that was read; else it flows.

        An answer is read to its end even when its client has gone, for then the agent works on; a stream of events is
        left with its client. An agent that was asked and does not answer may have begun what it was asked for.
        """
        headers = onwards(self._request.headers, self._request.remote)
        if self._reading.call is not None:
            headers["Accept-Encoding"] = "identity"  # what is read along
        data = body if body is not None else self._request.content if self._request.can_read_body else None
        try:
            async with self._session.request(
                self._request.method, self._url, headers=headers, data=data, allow_redirects=False
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
        self.streams = answer.content_type == "text/event-stream"
        self._answering, self._reading.settled = True, answer.status >= REFUSED
        response = web.StreamResponse(status=answer.status, reason=answer.reason, headers=passing(answer.headers))
        here = await _reaches(response.prepare, self._request)
        read = self._events if self.streams else self._whole
        async with contextlib.aclosing(read(answer)) as pieces:
            async for piece in pieces:
                here = here and (not piece or await _reaches(response.write, piece))
                if self.streams and not here:
                    break
        if here:
            await _reaches(response.write_eof)
        self._reading.settled |= here or not self.streams
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
        if answer.status < REFUSED:
            await self._reading.whole(body if length <= LARGEST else None)
        yield body

    async def _events(self, answer: aiohttp.ClientResponse) -> AsyncGenerator[bytes]:
        """The pieces of a stream; what an event says of tasks is on disk before its client has it."""
        events = Events(LARGEST)
        async for piece in answer.content.iter_any():
            if self._reading.call is not None:
                for data in events.feed(piece):
                    await self._reading.part(data)
            yield piece
        if events.lost:
            await self._reading.whole(None)


async def _reaches(send: Callable[..., Awaitable[object]], *what: object) -> bool:
    """Whether the client is there still to take it."""
    with contextlib.suppress(ConnectionError):
        await send(*what)
        return True
    return False
