"""Server-sent events, taken out of a stream as it passes by."""

from __future__ import annotations

from collections.abc import Iterator


class Events:
    """Reads a stream in whatever pieces it comes. What is longer than ``most`` bytes is passed over."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._line = b""
        self._data: list[bytes] = []
        self._after_return = False
        self.lost = False

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """The data of the events that this piece completes. Lines end with CR, LF or both."""
        if self._after_return and piece.startswith(b"\n"):
            piece = piece[1:]
        self._after_return = piece.endswith(b"\r")
        lines = (self._line + piece).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        self._line = lines.pop()
        for line in lines:
            if line.startswith(b"data:"):
                self._data.append(line[5:].removeprefix(b" "))
            elif not line and self._data:
                yield b"\n".join(self._data)
                self._data.clear()
        if len(self._line) + sum(map(len, self._data)) > self._most:
            self._line, self.lost = b"", True
            self._data.clear()
