"""Builds the binaries that the cluster tests start: ``python -m tests.cluster.assets [TOOL...]``."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from tests.cluster.harness.assets import Assets, AssetsError
from tests.cluster.harness.progress import say
from tests.cluster.harness.tools import TOOLS


def main(names: Sequence[str]) -> int:
    """Build those that are missing, by default all. The value is the exit code."""
    if unknown := sorted(set(names) - set(TOOLS)):
        say(f"unknown: {', '.join(unknown)}. The tools are {', '.join(TOOLS)}")
        return 2
    assets = Assets.usual()
    try:
        assets.build(*names)
    except AssetsError as error:
        say(str(error))
        return 1
    except KeyboardInterrupt:
        say("interrupted: what was built is kept")
        return 130
    say(f"the binaries are in {assets.elsewhere or assets.cache / 'tools'}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
