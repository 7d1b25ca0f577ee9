"""What the real HPA is led through: edges that matter, and random walks from a seed."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from scaler.sim.hpa import FOLLOW, Behavior, Hpa, Kind, Rules, ScalingPolicy, Select
from scaler.sim.hpa_pods import Stand
from tests.cluster.recorder.hpa import Beat, Script
from tests.support.recorded.hpa import THOUSAND, Story, Wanted
from tests.support.recorded.hpa import Kind as Of

ANY = (ScalingPolicy(Kind.PERCENT, 1000, 60.0), ScalingPolicy(Kind.PODS, 1000, 60.0))
CALM = Behavior(
    up=Rules(policies=ANY), down=Rules(policies=ANY[1:])
)  # the usual tolerance, and nothing else in the way
LOPSIDED = Behavior(up=Rules(policies=ANY, tolerance=0.05), down=Rules(policies=ANY[1:], tolerance=0.2))
DEAD_BANDS = {1: (1, 1), 9: (9, 9), 10: (9, 11), 11: (10, 12), 15: (14, 16), 20: (18, 22), 45: (41, 49), 100: (90, 110)}
READY, PENDING, FAILED = Stand.READY, Stand.UNREADY, Stand.GONE


def scripts() -> Iterator[Script]:
    """All of them."""
    yield from dead_bands()
    yield from exact()
    yield from unset()
    yield from rates()
    yield from windows()
    yield from bounds()
    yield from missing()
    yield from surges()
    yield from by_readiness()


def dead_bands() -> Iterator[Script]:
    """Reports at both edges of the tolerance and just outside, each met at the same replicas."""
    for spec, (lowest, highest) in DEAD_BANDS.items():
        reports = (lowest, highest, lowest - 1, highest + 1)
        yield script(f"dead band of {spec}", CALM, spec, [Beat(said=(n * THOUSAND,), spec=spec) for n in reports])
    lopsided = (105, 106, 80, 79, 104, 81)
    yield script("lopsided band of 100", LOPSIDED, 100, [Beat(said=(n * THOUSAND,), spec=100) for n in lopsided])


def exact() -> Iterator[Script]:
    """What we ship, tolerance 0: every number lands, in fractions too."""
    yield script("exact around 300", FOLLOW, 300, whole([300, 301, 300, 299, 300, 7, 1, 500, 499, 0]))
    odd = Beat(said=(21_001,)), Beat(said=(20_999,)), Beat(said=(1,)), Beat(said=(0,)), Beat(said=(7000,))
    yield script("exact fractions", FOLLOW, 21, odd)
    thirds = Beat(said=(7000,)), Beat(said=(8600,)), Beat(said=(333,)), Beat(said=(334,))
    yield script("a third", FOLLOW, 5, thirds, metrics=(Wanted(333),))


def unset() -> Iterator[Script]:
    """No behaviour, and one in which nothing is set."""
    course = whole([100, 100, 100, 100, 100, 1, 100, 3])
    yield script("no behavior", None, 1, course)
    yield script("behavior of defaults", Behavior(), 1, course)
    yield script("no behavior, falling at first sight", None, 8, whole([2, 2, 9, 2]))


def rates() -> Iterator[Script]:
    """Random walks against policies."""
    drawn = random.Random(1)
    for number in range(10):
        behavior = Behavior(up=_limited(drawn, 0.0), down=_limited(drawn, 0.0))
        yield script(f"rates {number}", behavior, drawn.randint(1, 40), whole(_walk(drawn, 12)))


def windows() -> Iterator[Script]:
    """Random walks against stabilisation, with and without policies."""
    drawn = random.Random(2)
    for number in range(8):
        up, down = (drawn.choice((0.0, 3.0, 5.0)) for _ in range(2))
        behavior = Behavior(up=Rules(window=up, policies=ANY), down=Rules(window=down or 3.0, policies=ANY[1:]))
        if number % 2:
            behavior = Behavior(up=_limited(drawn, up), down=_limited(drawn, down))
        yield script(f"windows {number}", behavior, drawn.randint(1, 40), whole(_walk(drawn, 14)))


def bounds() -> Iterator[Script]:
    """Reports beyond the bounds, and replicas that somebody else put there."""
    outside = [Beat(said=(4000,), spec=spec) for spec in (2, 12, 0, 5, 9)]
    for name, behavior in {"exact": FOLLOW, "rates": _slow(), "no behavior": None}.items():
        beats = [*whole([9, 1, 5]), *outside, *whole([8])]
        yield script(f"bounds, {name}", behavior, 4, beats, hpa=Hpa(low=3, high=8, behavior=behavior))


def missing() -> Iterator[Script]:
    """Metrics that fail, alone and beside another one."""
    alone = [Beat(said=(said,)) for said in (5000, None, None, 3000, None, 6000)]
    yield script("one metric that fails", FOLLOW, 4, alone)
    both = ((3000, None), (6000, None), (None, None), (None, 7000), (None, 2000), (9000, 4000), (2000, 4000))
    beats = [Beat(said=said) for said in both]
    yield script("two metrics that fail", FOLLOW, 4, beats, metrics=(Wanted(), Wanted()))
    yield script("two metrics that fail, no behavior", None, 4, beats, metrics=(Wanted(), Wanted()))


def surges() -> Iterator[Script]:
    """A status that differs from the spec, as in a rollout; the answer within the band is the status."""
    for name, behavior in {"exact": FOLLOW, "usual tolerance": CALM}.items():
        beats = [Beat(said=(20_000,), surge=surge) for surge in (0, 1, 1, 5, -2, -20, 0)]
        yield script(f"surge, {name}", behavior, 20, beats)


def by_readiness() -> Iterator[Script]:
    """Metrics that ask for readiness: of type Value, and of pods."""
    for ready in (0, 3, 5):
        pods = (*([READY] * ready), *([PENDING] * (5 - ready)), FAILED)
        beats = [Beat(said=(n,), spec=5) for n in (1000, 1100, 1101, 899, 2000, 300)]
        yield script(f"value, {ready} of 5 ready", CALM, 5, beats, metrics=(Wanted(1000, Of.VALUE),), pods=pods)
    drawn = random.Random(3)
    for number in range(5):
        pods = (READY, *drawn.choices((READY, PENDING, FAILED), weights=(4, 2, 1), k=5))
        beats = [Beat(said=(_uses(drawn, pods),), spec=len(pods)) for _ in range(8)]
        yield script(f"pods {number}", CALM, len(pods), beats, metrics=(Wanted(1000, Of.PODS),), pods=pods)


def script(
    name: str,
    behavior: Behavior | None,
    spec: int,
    beats: Sequence[Beat],
    *,
    metrics: tuple[Wanted, ...] = (Wanted(),),
    pods: tuple[Stand, ...] = (),
    hpa: Hpa | None = None,
) -> Script:
    """One script; without bounds of its own, from 1 to 600."""
    story = Story(name=name, hpa=hpa or Hpa(low=1, high=600, behavior=behavior), metrics=metrics, pods=pods)
    return Script(story, spec, tuple(beats))


def whole(reports: Sequence[int]) -> list[Beat]:
    """Reports in whole replicas."""
    return [Beat(said=(report * THOUSAND,)) for report in reports]


def _walk(drawn: random.Random, steps: int) -> list[int]:
    """Up and down, now and then the same for a while."""
    walk = [drawn.randint(1, 60)]
    while len(walk) < steps:
        walk += [drawn.choice((walk[-1], drawn.randint(1, 60), max(1, walk[-1] + drawn.randint(-5, 5))))]
    return walk


def _limited(drawn: random.Random, window: float) -> Rules:
    select = drawn.choice((Select.MAX, Select.MAX, Select.MIN, Select.MIN, Select.DISABLED))
    policies = [
        ScalingPolicy(Kind.PODS, drawn.randint(1, 8), drawn.choice((3.0, 5.0, 7.0))),
        ScalingPolicy(Kind.PERCENT, drawn.choice((10, 25, 50, 90)), drawn.choice((3.0, 5.0, 7.0))),
    ]
    drawn.shuffle(policies)
    return Rules(window=window, policies=tuple(policies[: drawn.randint(1, 2)]), select=select)


def _slow() -> Behavior:
    """One pod in five seconds."""
    rules = Rules(policies=(ScalingPolicy(Kind.PODS, 1, 5.0),))
    return Behavior(up=rules, down=rules)


def _uses(drawn: random.Random, pods: Sequence[Stand]) -> tuple[int | None, ...]:
    """What each pod uses; some say nothing, but never all."""
    level = drawn.choice((300, 900, 1000, 1100, 1200, 2500))
    uses = [drawn.choice((level, level, level + drawn.randint(-200, 200), None)) for _ in pods]
    return (level, *uses[1:])
