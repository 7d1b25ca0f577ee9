"""What arrives for the agent: read where it may be a call, whatever type it has, for agents seldom look at that."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from typing import Final

from aiohttp import StreamReader, web

from scaler.agent.sidecar import a2a
from scaler.agent.sidecar.exchange import LARGEST, Body
from scaler.agent.sidecar.packed import unpacked

START: Final = 64  # bytes by which what flows through is told from what is read
JSON: Final = (b"{", b"[", b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"\x00")  # how a call begins, in any encoding


@dataclass(frozen=True, slots=True)
class Arrived:
    """A request's body, as it passes to the agent, and the call in it."""

    body: Body
    call: a2a.Call | None = None


async def arrived(request: web.Request) -> Arrived | None:
    """The body of a request; None where it says that it is JSON, and nobody can say what it begins."""
    if not request.can_read_body or request.method != "POST":
        return Arrived(request.content if request.can_read_body else None)
    is_json, coding = "json" in request.content_type, ",".join(request.headers.getall("Content-Encoding", ()))
    if is_json and (request.content_length or 0) > LARGEST:
        return None
    pieces, whole = await _read(request.content, every=is_json or bool(coding))
    if not whole:
        return None if is_json else Arrived(_flowing(pieces, request.content))
    said = unpacked(body := b"".join(pieces), coding, LARGEST)
    try:
        call = None if said is None else a2a.call(said)
    except a2a.TooDeepError:
        return None
    return None if said is None and is_json else Arrived(body, call)


async def _read(content: StreamReader, *, every: bool) -> tuple[list[bytes], bool]:
    """The pieces of a body, and whether they are all: too much is not read, nor what is no JSON unless it must be."""
    pieces, length, start = list[bytes](), 0, b""
    async for piece in content.iter_any():
        pieces.append(piece)
        length += len(piece)
        start = (start + piece)[:START]
        if length > LARGEST or not (every or _may_be_json(start.lstrip())):
            return pieces, False
    return pieces, True


def _may_be_json(start: bytes) -> bool:
    return not start or start.startswith(JSON)


async def _flowing(read: Iterable[bytes], content: StreamReader) -> AsyncIterator[bytes]:
    for piece in read:
        yield piece
    async for piece in content.iter_any():
        yield piece
