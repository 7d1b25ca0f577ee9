"""Server-sent events, taken out of a stream as it passes by."""

from __future__ import annotations

from collections.abc import Iterator


class Events:
    """Reads a stream in whatever pieces it comes. What is longer than ``most`` bytes is passed over."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._line = bytearray()  # one that a long line comes in pieces does not copy anew with each of them
        self._data = bytearray()
        self._after_return = False
        self.lost = False

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """The data of the events that this piece completes. Lines end with CR, LF or both."""
        if self._after_return and piece.startswith(b"\n"):
            piece = piece[1:]
        self._after_return = piece.endswith(b"\r")
        *ends, rest = piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        for end in ends:
            line = bytes(self._line + end)
            self._line.clear()
            if line.startswith(b"data:"):
                self._data += line[5:].removeprefix(b" ") + b"\n"
            elif not line and self._data:
                yield bytes(self._data[:-1])
                self._data.clear()
        self._line += rest
        if len(self._line) + len(self._data) > self._most:
            self.lost = True
            self._line.clear()
            self._data.clear()
