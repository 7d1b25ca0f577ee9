"""Whatever is written into a file, a trigger or a request, or answered by a source: a value, or a clear error.

``LAWS=thorough`` tries twenty times as many cases, new ones each time.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.config.check import checked
from scaler.config.metadata import parse_metadata, pool_key
from scaler.config.path import steps
from scaler.config.pool import PoolKey
from scaler.config.problems import ConfigError, MetadataError
from scaler.config.reading import read_yaml
from scaler.config.resolve import resolve
from scaler.config.settings import Settings, parse_settings
from scaler.core.memory import Memory
from scaler.core.policy import Policy
from scaler.core.tick import tick
from scaler.core.types import Known, Observation, Signal, Unknown
from scaler.sources.activity_answer import Report, report
from scaler.sources.health import Failed, Fault
from scaler.sources.json_answer import document, number
from scaler.sources.number import MOST
from scaler.sources.prometheus_answer import number as prometheus_number
from scaler.sources.roll import Roll
from scaler.web.hints import read_wish
from scaler.web.problem import Refusal
from tests.fuzz.examples import ACTIVITY, BODY, CONFIG, DOCUMENT, METADATA, METADATA_KEYS, RESULT, SHARED, WORDS
from tests.fuzz.material import TEXT, as_json, bodies, changed, damaged, values
from tests.properties.effort import tries

NOW = 1_760_000_000.0


def clear(sentence: str) -> None:
    """It says something, can be encoded, and gives no orders to a terminal."""
    assert sentence.strip()
    sentence.encode()
    assert all(line.isprintable() for line in sentence.splitlines()), repr(sentence)


def short(sentence: str) -> None:
    """It is clear, and fits into a gRPC trailer."""
    clear(sentence)
    assert len(sentence) <= MetadataError.LONGEST


def refused(refusal: Refusal) -> None:
    """It is the caller's fault, and it is told what."""
    assert refusal.status == 400
    clear(refusal.detail)


def read(text: str) -> Settings | None:
    """The settings of a file, None where it cannot be used, which is told with what is allowed and the way out."""
    try:
        return checked(text)
    except ConfigError as error:
        problems = error.problems
    assert problems
    for problem in problems:
        clear(str(problem))
        assert problem.allowed
        assert problem.way_out
    return None


@tries(150)
@given(damaged(CONFIG, SHARED).map(lambda body: body.decode(errors="replace")) | st.text(max_size=200))
def test_any_text_is_a_configuration_or_a_list_of_problems(text: str) -> None:
    """A file that is cut off, doubled or damaged never stops the scaler."""
    read(text)


@tries(200)
@given(changed(read_yaml(CONFIG).value, WORDS))
def test_any_structure_is_a_configuration_or_a_list_of_problems(value: object) -> None:
    """Nor does a value in the wrong place; and what is accepted can be resolved."""
    settings = read(json.dumps(value))
    for name in settings.pools if settings else ():
        assert settings is not None
        resolve(settings, PoolKey(*name.split("/", 1)), parse_metadata({}))


KEYS = st.sampled_from(METADATA_KEYS) | TEXT
SAID = st.sampled_from([*METADATA.values(), "true", "0", "-1", "1e999", "1s" * 200, "9" * 300]) | TEXT
ENOUGH = parse_settings(SHARED)


@tries(400)
@given(st.dictionaries(KEYS, SAID, max_size=6), st.sampled_from(["coder", "", "a/b", "A", "x" * 64, "é"]))
def test_any_metadata_is_a_pool_or_a_short_refusal(metadata: Mapping[str, str], name: str) -> None:
    """It travels in a gRPC trailer, so it is short as well as clear; another namespace's pool is never the result."""
    try:
        said = parse_metadata(metadata)
        key = pool_key(said, "agents", name)
    except MetadataError as error:
        short(str(error))
        return
    assert key.namespace == "agents"
    try:
        resolve(ENOUGH, key, said)
    except ConfigError as error:
        clear(str(error))


@tries(400)
@given(bodies(BODY, keys=list(json.loads(BODY))) | changed(json.loads(BODY), list(json.loads(BODY))).map(as_json))
def test_any_body_is_a_wish_or_a_refusal(body: bytes) -> None:
    """What is taken from a caller is within its range, whatever surrounded it."""
    try:
        wish = read_wish(body)
    except Refusal as refusal:
        refused(refusal)
        return
    assert 1 <= wish.slots <= 1_000_000
    assert 1 <= wish.duration <= 1e9
    assert wish.start is None or math.isfinite(wish.start)
    clear(wish.reason)
    clear(wish.id)


ANSWERS = bodies(ACTIVITY, keys=list(json.loads(ACTIVITY))) | changed(
    json.loads(ACTIVITY), list(json.loads(ACTIVITY))
).map(as_json)


@tries(300)
@given(st.lists(ANSWERS, max_size=4))
def test_any_answers_of_pods_are_pods(answers: list[bytes]) -> None:
    """Each URL is listed once, whatever was answered there, and the decision can be made from it."""
    roll, policy = Roll(), Policy()
    heard = {f"http://pod-{i}": report(answer) for i, answer in enumerate(answers)}
    for answer in heard.values():
        if isinstance(answer, Failed):
            assert answer.fault is Fault.GARBAGE
            clear(answer.why)
    pods, failed = roll.call(heard, NOW)
    assert len(pods) == len(heard)
    assert {url for url, answer in heard.items() if isinstance(answer, Report)} | set(failed) == set(heard)
    observation = Observation(replicas=Known(len(pods), NOW), pods=pods, signals={})
    outcome = tick(policy, Memory.fresh(NOW), observation, NOW)
    assert isinstance(outcome.report, int)


def used(found: Known | Failed) -> None:
    """A number that every decision can use, or a clear reason; the extremes of all signals decide together."""
    if isinstance(found, Failed):
        clear(found.why)
        return
    assert 0 <= found.value <= MOST
    signals = dict.fromkeys(Signal, Known(found.value, NOW))
    observation = Observation(replicas=Known(found.value, NOW), pods=Unknown("unseen"), signals=signals)
    memory = Memory.fresh(NOW)
    for later in (0.0, 5.0, 600.0):
        memory = tick(Policy(), memory, observation, NOW + later).memory


RESULTS = changed(json.loads(RESULT), ["metric", "value", "values", "histogram"]) | values(["metric", "value"])


@tries(300)
@given(RESULTS)
def test_any_result_of_a_query_is_a_number_or_a_reason(result: object) -> None:
    """What is accepted overflows nothing."""
    used(prometheus_number(result))


DOCUMENTS = bodies(DOCUMENT, keys=["a", "b", "c"]) | changed(json.loads(DOCUMENT), ["a", "b", "c"]).map(as_json)


@tries(300)
@given(DOCUMENTS, st.sampled_from(["a.b[0].c", "a", "[0]", 'a["b"]', "a.b[0].c.d", 'c["\ud800"]', "0"]))
def test_any_document_is_a_number_or_a_reason(body: bytes, path: str) -> None:
    """Whatever stands on the way there."""
    way, said = steps(path), document(body, NOW)
    assert way is not None
    used(said if isinstance(said, Failed) else number(said, way))


@pytest.mark.parametrize("value", [MOST, MOST / 2, 5e-324, 0.0])
def test_the_largest_and_the_smallest_numbers_decide(value: float) -> None:
    """The bounds themselves are within the bounds."""
    used(Known(value, NOW))
