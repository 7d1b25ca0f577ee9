"""Which versions of agent-sandbox's extensions the cluster serves."""

from __future__ import annotations

from typing import Final

from scaler.controller.api import Api, Request, StaleError
from scaler.controller.dig import objects, parsed, text
from scaler.controller.sandboxes import kinds
from scaler.core.types import Seconds

PATIENCE: Final[Seconds] = 15.0


async def versions(api: Api) -> frozenset[str]:
    """The versions of the extensions' group that are served; none where it is not installed.

    Raises:
        ApiError: nobody answers.
    """
    try:
        body = await api.send(Request(method="GET", path=f"/apis/{kinds.EXTENSIONS}", within=PATIENCE))
    except StaleError:
        return frozenset()
    return frozenset(text(each, "version") for each in objects(parsed(body), "versions"))
