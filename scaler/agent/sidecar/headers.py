"""Which headers pass a proxy: all but those of the connection itself."""

from __future__ import annotations

from typing import Final

from multidict import CIMultiDict, CIMultiDictProxy

OF_THE_CONNECTION: Final = frozenset(
    {
        *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer"),
        *("transfer-encoding", "upgrade", "expect"),
    }
)


def passing(headers: CIMultiDictProxy[str]) -> CIMultiDict[str]:
    """The headers without those of the connection, and without what ``Connection`` names."""
    named = {name.strip().lower() for value in headers.getall("Connection", []) for name in value.split(",")}
    return CIMultiDict(
        (name, value) for name, value in headers.items() if name.lower() not in OF_THE_CONNECTION | named
    )


def onwards(headers: CIMultiDictProxy[str], peer: str | None) -> CIMultiDict[str]:
    """The headers for the agent, which learns for whom the request is."""
    onward = passing(headers)
    onward["X-Forwarded-For"] = ", ".join(filter(None, (*headers.getall("X-Forwarded-For", ()), peer)))
    return onward
