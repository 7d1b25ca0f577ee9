"""``make playground``: a real cluster on this machine, without containers or a cloud, to try agent-scaler by hand."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence

from rich.console import Console

from scaler.live.clock import SystemClock
from tests.cluster.harness.assets import AssetsError
from tests.cluster.harness.load import LoadError, within
from tests.cluster.harness.progress import say
from tests.cluster.playground.glance import look
from tests.cluster.playground.keys import QUIT, listening, turn
from tests.cluster.playground.stage import POOL, Stage, staged
from tests.cluster.playground.view import introduction, viewing

LOOK = 1.0  # seconds between two looks
LARGEST = 500


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it until Ctrl-C. The value is the exit code."""
    typed = _parser().parse_args(arguments)
    for number in (signal.SIGTERM, signal.SIGHUP):  # asked to end or left alone, end as with Ctrl-C: in order
        signal.signal(number, signal.default_int_handler)
    try:
        with staged(typed.max) as stage:
            stage.crew.turn(POOL, rate=typed.rate)
            _run(stage)
    except KeyboardInterrupt:
        pass
    except (AssetsError, AssertionError) as error:
        say("\n".join((str(error), *getattr(error, "__notes__", ()))))
        return 1
    say("all of it is stopped and removed")
    return 0


def _run(stage: Stage) -> None:
    """Show what happens, and do what keys say, until the end."""
    console, clock = Console(), SystemClock()
    console.print(introduction(stage), highlight=False, markup=False, soft_wrap=True)
    with listening() as listen, viewing(console) as show:
        while True:
            seen = look(stage, clock.now())
            show(seen)
            key = listen(LOOK)
            if key == QUIT:
                return
            if seen.rate is not None:
                turn(stage, key, seen.rate)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='make playground ARGS="..."',
        description=(
            "A real Kubernetes control plane with KEDA, agent-scaler and a pool of agents on this machine, without "
            "containers or a cloud. Everything listens on loopback, and Ctrl-C removes it."
        ),
        epilog="The first start builds the programs from source, which takes some 20 minutes and 10 GB of caches.",
    )
    parser.add_argument(
        "--rate", type=_rate, default=0.5, help="tasks per second at the beginning (default: %(default)s)"
    )
    parser.add_argument(
        "--max", type=_most, default=50, help="the most pods of the pool, up to 500 (default: %(default)s)"
    )
    return parser


def _rate(value: str) -> float:
    return _number("--rate", value, (0.0, 1000.0))


def _most(value: str) -> int:
    return int(_number("--max", value, (1.0, LARGEST)))


def _number(option: str, value: str, bounds: tuple[float, float]) -> float:
    try:
        return within(option, value, bounds)
    except LoadError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


if __name__ == "__main__":
    sys.exit(main())
