"""The file: what it may say, how it is read, and how its faults are told."""

from __future__ import annotations

import json
from importlib.resources import files

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from scaler.config.check import checked, keys
from scaler.config.hints import HintsSection
from scaler.config.knobs import Layer
from scaler.config.knobs import Section as Model
from scaler.config.metadata import TriggerMetadata
from scaler.config.pool import PoolKey
from scaler.config.problems import ConfigError
from scaler.config.reading import LARGEST, read_yaml
from scaler.config.settings import (
    ActivitySection,
    AdmissionSection,
    HttpSection,
    KubernetesSection,
    PrometheusSection,
    Settings,
    parse_settings,
)
from tests.config.material import KEY, QUERY, READ, READABLE, Section, as_yaml, layers, parsed

EXAMPLE = files("scaler.config").joinpath("example.yaml").read_text()


def faults(text: str) -> list[str]:
    """What is wrong with a file."""
    with pytest.raises(ConfigError) as caught:
        checked(text)
    return [str(problem) for problem in caught.value.problems]


def test_the_example_shows_every_default_and_nothing_else() -> None:
    """What the example says is what an empty file means, key by key, so that neither drifts from the other."""
    document = read_yaml(EXAMPLE).value
    assert isinstance(document, dict)
    assert parse_settings(EXAMPLE) == parse_settings("")
    assert set(document) == set(Settings.model_fields) - {"classes", "pools"}
    sections: dict[str, type[Model]] = {
        "defaults": Layer,
        "sources.prometheus": PrometheusSection,
        "sources.activity": ActivitySection,
        "sources.http": HttpSection,
        "sources.kubernetes": KubernetesSection,
        "admission": AdmissionSection,
        "hints": HintsSection,
    }
    for path, model in sections.items():
        section = document
        for part in path.split("."):
            inner = section[part]
            assert isinstance(inner, dict)
            section = inner
        assert set(section) == set(model.model_fields)


def test_the_examples_classes_and_pools_are_good_once_they_are_uncommented() -> None:
    """The part of the example that needs a Prometheus is tried with one."""
    commented = EXAMPLE.partition("# classes:")[2]
    shown = "classes:" + "\n".join(line.removeprefix("# ").removeprefix("#") for line in commented.splitlines())
    settings = checked("sources: {prometheus: {url: 'http://prometheus:9090'}}\n" + shown)
    assert keys(settings) == (PoolKey("agents", "coder"),)
    assert settings.classes["coding"].schedule[0].end == "18:00"


@given(layers(), layers(), layers())
def test_settings_survive_being_written_and_read(defaults: Section, class_: Section, pool: Section) -> None:
    """What was read can be written as a file that means the same, and only what was said is written."""
    pools: Section = {str(KEY): {**pool, **READ, "class": "coding"}}
    settings = parsed({**READABLE, "defaults": defaults, "classes": {"coding": class_}, "pools": pools})
    written = settings.model_dump(mode="json", by_alias=True, exclude_unset=True)
    again = parse_settings(json.dumps(written))
    assert again == settings
    assert again.model_dump(mode="json", by_alias=True, exclude_unset=True) == written
    assert set(written["pools"][str(KEY)]) == {*pool, *READ, "class"}


PLACES: dict[str, tuple[str | int, ...]] = {
    "the file": (),
    "sources": ("sources",),
    "sources.prometheus": ("sources", "prometheus"),
    "sources.activity": ("sources", "activity"),
    "defaults": ("defaults",),
    "classes.coding": ("classes", "coding"),
    "classes.coding.schedule[0]": ("classes", "coding", "schedule", 0),
    "pools.agents/coder": ("pools", "agents/coder"),
    "pools.agents/coder.pods": ("pools", "agents/coder", "pods"),
    "pools.agents/coder.replicas": ("pools", "agents/coder", "replicas"),
}


@given(st.sampled_from(list(PLACES)), st.from_regex(r"[a-zA-Z_]{3,12}", fullmatch=True))
def test_an_unknown_key_is_refused_wherever_it_stands(place: str, key: str) -> None:
    """Every section is closed: the key is named with its path and line."""
    text = as_yaml(_whole(PLACES[place], key))
    assume(text.count(f'"{key}"') == 1)
    path = key if place == "the file" else f"{place}.{key}"
    assert any(f.startswith(f"line 1: {path} = 'here': unknown key; ") for f in faults(text))


def _whole(path: tuple[str | int, ...], key: str) -> Section:
    """A file with every section in it, and one key too many at ``path``."""
    window: Section = {"from": "08:00", "to": "18:00", "replicas": 3}
    pods: Section = {"activity": ["http://pod:9001"]}
    pool: Section = {"class": "coding", "pods": pods, "replicas": {"query": QUERY, "url": "http://p:9090"}}
    whole: Section = {"sources": {"prometheus": {}, "activity": {}}, "defaults": {}}
    whole |= {"classes": {"coding": {"schedule": [window]}}, "pools": {"agents/coder": pool}}
    section: object = whole
    for part in path:
        assert isinstance(section, dict | list)
        section = section[part]  # type: ignore[index] # a list by place, a section by key
    assert isinstance(section, dict)
    section[key] = "here"
    return whole


def test_yaml_is_read_as_version_1_2() -> None:
    """``off`` is a mode and ``18:00`` a time; in YAML 1.1 they would be false and 1080."""
    text = "a: off\nb: 18:00\nc: 0o17\nd: 1_000\ne: 2026-01-01\nf: .nan\ng: ~\nh: yes\ni: 1e3\nj: -0.5\nk: 010"
    read = {"a": "off", "b": "18:00", "c": "0o17", "d": "1_000", "e": "2026-01-01", "f": ".nan", "g": None, "h": "yes"}
    assert read_yaml(text).value == {**read, "i": 1000.0, "j": -0.5, "k": "010"}


FAULTY = """\
mode: recomend
sources: {prometheus: {url: "ftp://x"}}
defaults:
  max: "20"
  max: 3
  signals: {queu: x, queue: "sum(x{namespce})"}
classes:
  coding:
    schedule: [{from: 18:00, to: 8:00, timezone: Mars/X, days: [monday]}]
pools:
  coder: {}
  a/b: {clas: x, target_wait_p95: -3}
"""


def test_all_faults_are_told_at_once_each_with_line_key_value_range_and_way_out() -> None:
    """One look at the list, one round of corrections."""
    assert faults(FAULTY) == [
        "line 5: defaults.max: stands twice, first on line 4; keep one of the two",
        "line 1: mode = 'recomend': must be off, recommend or auto; did you mean \"recommend\"?",
        (
            "line 2: sources.prometheus.url = 'ftp://x': must be http://HOST[:PORT][/PATH] or https://..., without "
            "credentials, query or fragment; write the server's base URL"
        ),
        "line 4: defaults.max = '20': must be a whole number; take the quotes away",
        (
            "line 6: defaults.signals.queu = 'queu': must be queue, pending, inflight, tokens, oldest_wait, wait_p95, "
            'arrivals, service or completions; did you mean "queue"?'
        ),
        (
            "line 6: defaults.signals.queue.query = 'sum(x{namespce})': {namespce} is no placeholder: those are "
            '{namespace} and {name}; did you mean "namespace"?'
        ),
        (
            "line 9: classes.coding.schedule[0].days[0] = 'monday': must be mon, tue, wed, thu, fri, sat or sun; "
            'did you mean "mon"?'
        ),
        (
            "line 9: classes.coding.schedule[0].to = '8:00': must be a wall-clock time from 00:00 to 23:59; "
            "write HH:MM, as in 08:00"
        ),
        (
            "line 9: classes.coding.schedule[0].timezone = 'Mars/X': must be a time zone that this machine knows; "
            "write a tz name such as Europe/Berlin, or install tzdata"
        ),
        "line 9: classes.coding.schedule[0].replicas: is required; add it",
        (
            "line 11: pools.coder = 'coder': must be NAMESPACE/NAME; name the ScaledObject as Kubernetes does, "
            "as in agents/coder"
        ),
        (
            "line 12: pools.a/b.target_wait_p95 = -3: must be a duration above zero; "
            "write 30s, 5m or 1h30m, or a number of seconds"
        ),
        "line 12: pools.a/b.clas = 'x': unknown key; did you mean \"class\"?",
    ]


CONTRADICTING = """\
sources:
  prometheus: {url: "http://prometheus:9090"}
classes:
  coding: {min: 30}
  dear: {budget_per_hour: 3}
  up: {replicas: sum(replicas)}
pools:
  a/b:
    class: codin
"""


def test_classes_that_do_not_exist_and_queries_without_bounds_are_found() -> None:
    """A class answers pools of every namespace, so what it reads depends on the namespace."""
    assert faults(CONTRADICTING) == [
        "line 9: pools.a/b.class = 'codin': must be one of the classes; did you mean \"coding\"?",
        (
            "line 6: classes.up.replicas = 'sum(replicas)': must contain {namespace}, because pools of every namespace "
            "may use it; restrict it to the pool's namespace, or move it to the one pool that needs it"
        ),
    ]


def test_pools_and_unused_classes_that_contradict_themselves_are_found_where_they_stand() -> None:
    """A class that waits for pools from the cluster is tried by itself; one that is used, with its pools."""
    text = CONTRADICTING.replace("codin\n", "coding\n").replace("  up: {replicas: sum(replicas)}\n", "")
    assert faults(text) == [
        (
            "line 7: pools.a/b.max = 20 (from default): must be at least min, which is 30 (from class coding); "
            "raise max or lower min"
        ),
        (
            "line 7: pools.a/b.replicas: nothing says how many replicas there are; "
            "set replicas to a scale or a query, or pods.activity"
        ),
        (
            "line 7: pools.a/b.signals: nothing says how much work there is; "
            "set one of queue, pending, inflight, tokens, or pods.activity"
        ),
        (
            "line 5: classes.dear.budget_per_hour = 3.0 (from class dear): must be set together with pod_price_per_hour"
            "; set both or neither"
        ),
    ]


def test_money_that_does_not_pay_for_the_fewest_pods_is_told_with_the_way_out() -> None:
    """Both halves of it are set, so to set both would be no advice."""
    text = "classes:\n  dear: {min: 4, budget_per_hour: 5, pod_price_per_hour: 2}\n"
    assert faults(text) == [
        (
            "line 2: classes.dear.budget_per_hour = 5.0 (from class dear): must be enough for 4 pods; "
            "raise it, or lower min or pod_price_per_hour"
        )
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: [", "line 1: the file: is not YAML: "),
        ("a: 1\n---\nb: 2", "line 2: the file: is not YAML: but found another document"),
        ("a: \x00", "the file: is not YAML: "),
        ("[" * 5_000, "the file: is nested too deeply; flatten it"),
        ("- " * 400_000, "the file: is nested too deeply; flatten it"),
        ("- 1", "line 1: the file = [1]: must be a section of keys and values"),
        ("text", "line 1: the file = 'text': must be a section of keys and values"),
        (
            "x: &a {}\ndefaults: *a",
            "line 2: defaults: is an alias, which is not read; put what pools share into a class",
        ),
        ("? {a: 1}\n: 2", "line 1: ?: a key must be text; write it on one line"),
        ("mode: !!python/name:os.system x", "line 1: mode: has the tag tag:yaml.org,2002:python/name:os.system"),
        ("defaults: {max: !!int x}", "line 1: defaults.max: has the tag tag:yaml.org,2002:int, which is not read"),
        (
            "#" * (LARGEST + 1),
            "the file = 1048577 bytes: must be at most 1048576 bytes, which is what a ConfigMap holds",
        ),
        ("defaults: {signals: {queue: 5}}", "line 1: defaults.signals.queue = 5: must be a PromQL expression"),
        (
            "defaults: {signals: {queue: ' '}}",
            "line 1: defaults.signals.queue.query = ' ': must be 1 to 8192 characters",
        ),
        ("defaults: {pods: {activity: []}}", "line 1: defaults.pods.activity = []: must not be empty"),
        ("defaults: {schedule: {}}", "line 1: defaults.schedule = {}: must be a list; write one `- item` a line"),
        ("sources: {activity: {timeout: 5s}}", "line 1: sources.activity.timeout = '5s': must be <= 4"),
        ("defaults: {pause_up: 1}", "line 1: defaults.pause_up = 1: must be true or false; write true or false"),
        ("defaults: {max: null}", "line 1: defaults.max = None: must be a whole number; write its digits"),
        (f"defaults: {{max: {'9' * 26}}}", f"line 1: defaults.max = {'9' * 26}: must be <= 150000; set it to a value"),
        (
            "defaults: {max: 010}",
            "line 1: defaults.max = '010': must be a whole number; write 10: no quotes, and no zeros",
        ),
        ("defaults: {max: '20'}", "line 1: defaults.max = '20': must be a whole number; take the quotes away"),
        (
            "hints: {callers: {a: {token_sha256: zz, namespaces: [a]}}}",
            "line 1: hints.callers.a.token_sha256: must be 64 lower-case hexadecimal digits; write what `printf",
        ),
        ("defaults: {max: 1.0}", "line 1: defaults.max = 1.0: must be a whole number; write its digits"),
        (
            "classes: {signals: {signals: {queue: {queri: x}}}}",
            "line 1: classes.signals.signals.queue.query: is required",
        ),
    ],
    ids=lambda value: value[:40].encode("unicode_escape").decode(),
)
def test_a_fault_is_told_with_the_way_out(text: str, told: str) -> None:
    """Nothing that can be written makes the reader fall over."""
    assert faults(text)[0].startswith(told)


@pytest.mark.parametrize(
    "url",
    ["http://user:secret@p:9090", "http://p:99999", "p:9090", "http://", "http://p/?q=1", "http://p#x", "http://a b"],
)
def test_an_address_that_is_no_base_url_is_refused(url: str) -> None:
    """Credentials have no place in a ConfigMap, and a query string would end up in the middle of the path."""
    assert "must be http://HOST" in faults(as_yaml({"sources": {"prometheus": {"url": url}}}))[0]


def test_a_suggestion_follows_the_section_the_key_stands_in() -> None:
    """A class that is called like a key is still a class."""
    told = faults("classes: {signals: {signals: {queue: {query: 'a{namespace}', urll: x}}}}")
    assert told == ["line 1: classes.signals.signals.queue.urll = 'x': unknown key; did you mean \"url\"?"]


@pytest.mark.parametrize("model", [Settings, TriggerMetadata])
def test_the_schema_describes_every_key_and_takes_no_other(model: type[Settings | TriggerMetadata]) -> None:
    """An editor that reads the schema can explain each key where it is written."""
    schema = model.model_json_schema()
    sections = [schema, *(d for d in schema.get("$defs", {}).values() if "properties" in d)]
    assert all(section["additionalProperties"] is False for section in sections)
    keys_ = [(name, key) for section in sections for name, key in section["properties"].items()]
    assert [name for name, key in keys_ if not key.get("description")] == []
