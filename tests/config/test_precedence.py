"""Laws of the layers: who decides a setting, and that the pool says so."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.config.knobs import Layer
from scaler.config.metadata import TriggerMetadata, parse_metadata
from scaler.config.pool import ActivityEndpoints, JobStrategy, PoolSpec, PrometheusQuery
from scaler.config.problems import ConfigError
from scaler.config.resolve import resolve
from scaler.core.policy import Mode, Policy
from scaler.core.types import Signal
from tests.config.material import KEY, KNOBS, READ, READABLE, Plain, Section, layers, parsed, said, triggers

POLICY_FIELD = {"min": "min_replicas", "max": "max_replicas"}


def setting(spec: PoolSpec, knob: str) -> object:
    """The knob's value in a resolved pool."""
    return spec.job_strategy if knob == "scaled_job_strategy" else getattr(spec.policy, POLICY_FIELD.get(knob, knob))


def value_of(layer: Section, knob: str) -> object:
    """The knob's value as a layer alone means it."""
    return getattr(Layer.model_validate({knob: layer[knob]}), knob)


def pool_of(defaults: Section, class_: Section, pool: Section, trigger: dict[str, str]) -> PoolSpec:
    """A pool of class ``coding`` with these four layers above the documented defaults."""
    pools: Section = {str(KEY): {**pool, "class": "coding"}}
    classes: Section = {"coding": class_}
    settings = parsed({**READABLE, "defaults": {**defaults, **READ}, "classes": classes, "pools": pools})
    return resolve(settings, KEY, said(trigger))


@given(layers(), layers(), layers(), triggers())
def test_the_strongest_layer_that_speaks_decides_and_is_named(
    defaults: Section, class_: Section, pool: Section, trigger: dict[str, str]
) -> None:
    """Trigger metadata over pool over class over defaults over what is documented, for every knob by itself."""
    spec = pool_of(defaults, class_, pool, trigger)
    told = said(trigger)
    from_trigger: Section = {knob: getattr(told, knob) for knob in told.model_fields_set}
    strongest_first = [("trigger metadata", from_trigger), ("pool", pool)]
    strongest_first += [("class coding", class_), ("config defaults", defaults)]
    for knob in KNOBS:
        name, layer = next(((n, x) for n, x in strongest_first if knob in x), ("default", {}))
        expected = value_of(layer, knob) if layer else getattr(Layer(), knob)
        assert (spec.origin[knob], setting(spec, knob)) == (name, expected)


@given(layers(), st.sampled_from(list(Mode)))
def test_the_kill_switch_bounds_every_pool_whatever_its_layers_say(pool: Section, switch: Mode) -> None:
    """No trigger and no pool can do more than the file's own mode allows, and the pool says who held it back."""
    pools: Section = {str(KEY): {**pool, **READ}}
    spec = resolve(parsed({**READABLE, "mode": switch.value, "pools": pools}), KEY, said({"mode": "auto"}))
    assert spec.policy.mode is switch
    assert spec.origin["mode"] == ("trigger metadata" if switch is Mode.AUTO else "kill switch")


def test_an_empty_file_resolves_to_the_documented_defaults() -> None:
    """The core's defaults are the configuration's: nothing stands in two places."""
    spec = resolve(parsed({**READABLE, "pools": {str(KEY): READ}}), KEY, TriggerMetadata())
    assert spec.policy == Policy()
    assert {spec.origin[knob] for knob in KNOBS} == {"default"}


def test_signals_of_all_layers_add_up_and_null_takes_one_away() -> None:
    """A class says what most pools are measured by; a pool changes one signal and keeps the others."""
    classes: Section = {"coding": {"signals": {"queue": 'a{n="{namespace}"}', "tokens": 'b{n="{namespace}"}'}}}
    pool: Section = {"class": "coding", "signals": {"queue": "mine", "tokens": None}, "replicas": READ["replicas"]}
    spec = resolve(parsed({**READABLE, "classes": classes, "pools": {str(KEY): pool}}), KEY, TriggerMetadata())
    assert dict(spec.signals) == {Signal.QUEUE: PrometheusQuery(query="mine", url="http://prometheus:9090")}
    assert (spec.origin["signals.queue"], spec.origin["signals.tokens"]) == ("pool", "pool")


def test_templates_are_filled_with_the_pools_own_name() -> None:
    """Braces of PromQL stay; only the two placeholders are replaced."""
    pool: Section = {
        "signals": {"queue": {"query": 'sum(q{namespace="{namespace}", pool=~"{name}-.{1,3}"})', "url": "http://own"}},
        "pods": {"activity": ["http://{name}-0.{name}.{namespace}.svc:9001/"]},
    }
    spec = resolve(parsed({"pools": {str(KEY): pool}}), KEY, TriggerMetadata())
    query = 'sum(q{namespace="agents", pool=~"coder-.{1,3}"})'
    assert spec.signals[Signal.QUEUE] == PrometheusQuery(query=query, url="http://own")
    assert spec.pods == ActivityEndpoints(urls=("http://coder-0.coder.agents.svc:9001",))
    assert spec.replicas is None


def test_the_trigger_chooses_the_class_before_the_pool_does() -> None:
    """The class itself follows the same precedence."""
    classes: Section = {"coding": {"max": 50}, "chat": {"max": 70}}
    pools: Section = {str(KEY): {"class": "coding", **READ}}
    settings = parsed({**READABLE, "classes": classes, "pools": pools})
    spec = resolve(settings, KEY, said({"class": "chat", "scaledJobStrategy": "accurate"}))
    assert (spec.class_name, spec.policy.max_replicas, spec.origin["class"]) == ("chat", 70, "trigger metadata")
    assert (spec.job_strategy, spec.origin["scaled_job_strategy"]) == (JobStrategy.ACCURATE, "trigger metadata")


@pytest.mark.parametrize(
    ("pool", "trigger", "told"),
    [
        ({"min": 30, **READ}, {}, ["max = 20 (from default): must be at least min, which is 30 (from pool)"]),
        ({"min": 3, **READ}, {"max": "2"}, ["max = 2 (from trigger metadata): must be at least min, which is 3"]),
        ({"budget_per_hour": 3, **READ}, {}, ["budget_per_hour = 3.0 (from pool): must be set together with"]),
        (
            {"min": 30, "pod_price_per_hour": 3},
            {},
            ["max = 20", "budget_per_hour = None", "replicas: nothing says", "signals: nothing says"],
        ),
        (READ, {"class": "coding"}, ["class = 'coding': must be an existing class"]),
    ],
    ids=["bounds", "bounds of two layers", "money", "all at once", "class"],
)
def test_layers_that_contradict_each_other_are_refused(pool: Section, trigger: dict[str, str], told: list[str]) -> None:
    """Each problem names the key, the value, who set it and what is allowed; none hides another."""
    with pytest.raises(ConfigError) as caught:
        resolve(parsed({**READABLE, "pools": {str(KEY): pool}}), KEY, parse_metadata(trigger))
    assert len(caught.value.problems) == len(told)
    for problem, beginning in zip(caught.value.problems, told, strict=True):
        assert str(problem).startswith(beginning)


def test_a_query_without_a_server_is_refused() -> None:
    """There is no Prometheus to fall back on that nobody named."""
    with pytest.raises(
        ConfigError, match=r"signals\.queue: no Prometheus is named to ask; set sources\.prometheus\.url"
    ):
        resolve(parsed({"pools": {str(KEY): READ}}), KEY, TriggerMetadata())


@pytest.mark.parametrize("signal", list(Signal))
def test_replicas_and_work_must_be_known(signal: Signal) -> None:
    """A signal that only informs, as the wait does, makes no pool; one that carries work does."""
    pool: Section = {"signals": {signal.value: "x"}, "replicas": "y", "tokens_per_pod": 50.0}
    settings = parsed({**READABLE, "pools": {str(KEY): pool}})
    if signal in {Signal.QUEUE, Signal.PENDING, Signal.INFLIGHT, Signal.TOKENS}:
        assert signal in resolve(settings, KEY, TriggerMetadata()).signals
    else:
        with pytest.raises(ConfigError, match="nothing says how much work there is"):
            resolve(settings, KEY, TriggerMetadata())


@pytest.mark.parametrize(
    ("signals", "section", "refused"),
    [
        (["tokens"], {}, True),
        (["tokens"], {"pods": {"activity": ["http://a"]}}, True),
        (["tokens"], {"tokens_per_pod": 50.0}, False),
        (["tokens", "queue"], {}, False),
    ],
    ids=["alone", "beside pods", "with what a pod carries", "with a queue"],
)
def test_tokens_alone_teach_nothing(signals: list[str], section: Section, *, refused: bool) -> None:
    """What a pod carries is learnt while tasks queue, so a pool that only knows tokens would ask for one pod only."""
    pool: Section = {"signals": dict.fromkeys(signals, "x"), "replicas": "y", **section}
    settings = parsed({**READABLE, "pools": {str(KEY): pool}})
    if refused:
        with pytest.raises(ConfigError, match=r"tokens_per_pod: tokens are the only signal .*; set it, or add signals"):
            resolve(settings, KEY, TriggerMetadata())
    else:
        assert Signal.TOKENS in resolve(settings, KEY, TriggerMetadata()).signals


@pytest.mark.parametrize("strategy", JobStrategy)
def test_a_scaled_job_needs_no_replicas(strategy: JobStrategy) -> None:
    """KEDA counts its Jobs itself, and none is stopped for a number: a queue is enough."""
    settings = parsed({**READABLE, "pools": {str(KEY): {"signals": {"queue": "x"}}}})
    spec = resolve(settings, KEY, parse_metadata({"scaledJobStrategy": strategy.value}))
    assert (spec.job_strategy, spec.replicas) == (strategy, None)
    with pytest.raises(ConfigError, match="replicas: nothing says"):
        resolve(settings, KEY, TriggerMetadata())


@pytest.mark.parametrize(
    ("replicas", "behind"),
    [
        ("x", 45.0),
        ({"url": "http://a/stats", "path": "replicas"}, 5.0),
        ({"scale": "deployments/coder"}, 0.0),
        (None, 0.0),
    ],
    ids=["scraped", "a page", "the scale itself", "counted"],
)
def test_replicas_are_as_late_as_their_source(replicas: Plain, behind: float) -> None:
    """What Prometheus says was scraped before; a page may be a copy as old as any signal; the API server's is live."""
    pool: Section = {"signals": {"queue": "x"}, "replicas": replicas, "pods": {"activity": ["http://a"]}}
    sources: Section = {"prometheus": {"url": "http://prometheus:9090", "replicas_behind": "45s"}}
    settings = parsed({"sources": sources, "pools": {str(KEY): pool}})
    assert resolve(settings, KEY, TriggerMetadata()).replicas_behind == behind
