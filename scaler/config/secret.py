"""Bearer tokens in mounted files, which are replaced under us when they are rotated."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

TOKEN_LONGEST: Final = 8_192  # bytes
_TOKEN: Final = re.compile(rb"[\x21-\x7e]+")


class TokenFileError(ValueError):
    """A file that holds no token: which, and why. What it holds is not told."""


def token_in(file: str) -> str:
    """The token that the file holds now, without the white space around it. Blocks.

    Raises:
        TokenFileError: no such file, or not one word of visible ASCII in it.
    """
    try:
        if not Path(file).is_file():
            raise TokenFileError(f"there is no file {file}")
        with Path(file).open("rb") as opened:
            token = opened.read(TOKEN_LONGEST + 1).strip()
    except (OSError, ValueError) as error:
        raise error if isinstance(error, TokenFileError) else TokenFileError(f"{file} cannot be read") from None
    if len(token) > TOKEN_LONGEST or not _TOKEN.fullmatch(token):
        raise TokenFileError(f"{file} must hold one word of visible ASCII, at most {TOKEN_LONGEST} bytes")
    return token.decode()
