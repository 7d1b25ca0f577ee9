"""The way to a value in a JSON document: how it is written, and that nobody's name can bend it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.config.check import checked
from scaler.config.metadata import TriggerMetadata, parse_metadata
from scaler.config.path import STEPS_MOST, filled, steps, written
from scaler.config.pool import JsonNumber, PoolKey
from scaler.config.problems import ConfigError, MetadataError
from scaler.config.resolve import resolve
from scaler.config.rows import rows
from scaler.core.types import Signal
from tests.house.source import ROOT

POOL = """\
pools:
  agents/coder:
    replicas: {url: http://stats/all, path: pods.live}
    signals:
      queue: {url: "http://stats/all?of={namespace}", path: 'pools["{namespace}/{name}"].queued[0]'}
"""


def faults(text: str) -> list[str]:
    """What is wrong with a file."""
    with pytest.raises(ConfigError) as caught:
        checked(text)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("queued", ("queued",)),
        ("a.b[0].c", ("a", "b", 0, "c")),
        ("[3]", (3,)),
        ("a[0][12]", ("a", 0, 12)),
        ('pools["agents/coder"].queued', ("pools", "agents/coder", "queued")),
        ('["a.b"]', ("a.b",)),
        ("queue-depth.p_95.0", ("queue-depth", "p_95", "0")),
        ("pools.{namespace}.{name}-queue", ("pools", "{namespace}", "{name}-queue")),
    ],
)
def test_a_path_is_keys_and_places(text: str, path: tuple[str | int, ...]) -> None:
    """Dots join plain keys, brackets hold places and quoted keys; what is read is written the same."""
    assert steps(text) == path
    assert written(path) == text


@pytest.mark.parametrize(
    "text",
    [
        *("", ".", ".a", "a.", "a..b", "a b", "a[]", "a[-1]", "a[01]", "a[1000000]", "a[x]", "a[0", "a]", "a['b']"),
        *('a[""]', 'a["b\\"]', 'a["b""]', "$.a", "a.*", "a[0]b", "é", "a.b\n", ".".join("a" * (STEPS_MOST + 1))),
    ],
)
def test_anything_else_is_no_path(text: str) -> None:
    """There are no wildcards, no places from the end, and nothing is guessed."""
    assert steps(text) is None


STEPS = st.lists(
    st.integers(0, 999_999) | st.text(st.characters(exclude_characters='"\\', exclude_categories=["Cc"]), min_size=1),
    min_size=1,
    max_size=STEPS_MOST,
)


@given(STEPS.map(tuple))
def test_every_path_survives_being_written_and_read(path: tuple[str | int, ...]) -> None:
    """Whatever the keys hold, the text leads the same way."""
    assert steps(written(path)) == path


@given(st.from_regex(r"[a-z0-9.-]{1,20}", fullmatch=True))
def test_a_name_stays_within_its_step(name: str) -> None:
    """A ScaledObject that is called ``a.b`` reads the key ``a.b``, and never another pool's."""
    path = filled(steps("pools.{name}.queued") or (), namespace="agents", name=name)
    assert path == ("pools", name, "queued")


def test_a_pool_reads_its_own_numbers() -> None:
    """Placeholders are filled in the URL and in the path, and people are shown both."""
    settings = checked(POOL)
    spec = resolve(settings, PoolKey("agents", "coder"), TriggerMetadata())
    queue = JsonNumber(url="http://stats/all?of=agents", path=("pools", "agents/coder", "queued", 0))
    assert spec.signals[Signal.QUEUE] == queue
    assert spec.replicas == JsonNumber(url="http://stats/all", path=("pods", "live"))
    shown = {row.key: row.value for row in rows(spec)}
    assert shown["signals.queue"] == 'pools["agents/coder"].queued[0] at http://stats/all?of=agents'


FAULTY = [
    ("{url: http://x, path: 'a..b'}", ".path = 'a..b': must be a path of 1 to 16 steps"),
    ("{url: http://x, path: 'a.{pool}'}", ".path = 'a.{pool}': {pool} is no placeholder"),
    ("{url: ftp://x, path: a}", ".url = 'ftp://x': must be http://HOST[:PORT][/PATH][?QUERY]"),
    ("{url: 'http://u:p@x/', path: a}", ".url = 'http://u:p@x/': must be http://HOST"),
    ("{url: 'http://x/#a', path: a}", ".url = 'http://x/#a': must be http://HOST"),
    ("{path: a}", ".url: is required; add it"),
    ("{url: http://x, path: a, tokenfile: /t}", ".tokenfile = '/t': unknown key; did you mean \"token_file\"?"),
    ("{url: http://x, path: a, query: up}", ".path = 'a': unknown key; remove it; known here: query, url"),
    ("{url: http://x}", ".query: is required; add it"),
    ("{url: 'http://{name}.x/', path: a, token_file: /t}", "the pool chooses the host of url, and so who is sent"),
    ("{url: http://x, path: a, ca_file: /ca}", "url is not https, so nobody has to be trusted; write https, or take"),
]


@pytest.mark.parametrize(("source", "told"), FAULTY, ids=[told for _, told in FAULTY])
def test_a_source_that_cannot_be_read_is_told(source: str, told: str) -> None:
    """Each fault has its key, its value and the way out, whichever of the two kinds of source is meant."""
    (fault,) = faults(
        f"pools:\n  agents/coder:\n    pods: {{activity: [http://p]}}\n    signals: {{queue: {source}}}\n"
    )
    assert fault.startswith("line 4: pools.agents/coder.signals.queue")
    assert told in fault


def test_a_shared_source_depends_on_the_namespace_that_asks() -> None:
    """In a class the URL or the path names the namespace, as queries do; otherwise each would read the others' data."""
    shared = "classes:\n  coding:\n    signals: {queue: {url: 'http://stats/X', path: Y}}\n"
    assert "classes.coding.signals.queue = 'http://stats/X': must contain {namespace}" in faults(shared)[0]
    checked(shared.replace("X", "{namespace}"))
    checked(shared.replace("Y", "'pools[\"{namespace}\"].queued'"))


def test_a_trigger_names_no_url() -> None:
    """Metadata comes from any namespace, so what it may set holds neither a URL nor a path."""
    for key in ("url", "path", "signals", "queue", "tokenFile"):
        with pytest.raises(MetadataError, match=f"{key} = 'http://evil': unknown key"):
            parse_metadata({key: "http://evil"})


def test_the_examples_of_the_page_about_signals_are_good() -> None:
    """Whoever copies one has a configuration that can be used."""
    page = (ROOT / "docs/signals.md").read_text()
    blocks = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    examples = [block for block in blocks if "apiVersion:" not in block]  # an API server is asked about its own kinds
    assert len(examples) == 3
    for example in examples:
        checked(example)
