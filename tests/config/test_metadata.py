"""Laws of trigger metadata: what any namespace may say, and what it may not."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from scaler.config.metadata import FROM_ENV, KEDA_KEYS, KEDA_SECRETS, TriggerMetadata, parse_metadata, pool_key
from scaler.config.pool import PoolKey
from scaler.config.problems import ForeignPoolError, MetadataError
from tests.config.material import triggers

KEYS = ["mode", "min", "max", "targetWaitP95", "slotsPerPod", "tokensPerPod", "activation", "pauseUp", "pauseDown"]
KEYS += [
    "guarantee",
    "guard",
    "workload",
    "taskLimit",
    "ordinalsStart",
    "scaledJobStrategy",
    "pool",
    "class",
    "warmPool",
]


@given(triggers())
def test_what_is_said_by_value_and_by_environment_is_the_same(trigger: dict[str, str]) -> None:
    """KEDA resolves a ``...FromEnv`` key to its value and keeps the suffix; both ways of writing mean one thing."""
    by_environment = {key + FROM_ENV: value for key, value in trigger.items()}
    assert parse_metadata(by_environment) == parse_metadata(trigger)


@given(triggers(), st.text(min_size=1), st.text())
def test_any_key_that_is_not_known_is_refused_by_name(trigger: dict[str, str], key: str, value: str) -> None:
    """A slip of the pen is an error, never a setting that silently does nothing."""
    assume(key.removesuffix(FROM_ENV) not in {*KEYS, *KEDA_KEYS, *KEDA_SECRETS})
    with pytest.raises(MetadataError) as caught:
        parse_metadata({**trigger, key: value})
    assert any(p.path == key and p.allowed == "unknown key" for p in caught.value.problems)


def test_a_key_set_to_its_default_is_not_a_key_left_out() -> None:
    """It overrules the class, so a trigger that adds it has changed."""
    silent, told, again = (parse_metadata(m) for m in ({}, {"max": "20"}, {"maxFromEnv": "20"}))
    assert silent.max == told.max
    assert silent != told
    assert told == again
    assert len({silent, told, again}) == 2


def test_every_key_is_known_and_these_are_all() -> None:
    """The list of keys is a contract: no query, no URL and no money is among them."""
    with pytest.raises(MetadataError) as caught:
        parse_metadata({"unheardOf": "1"})
    assert caught.value.problems[0].way_out == f"remove it; known here: {', '.join(KEYS)}"


def test_kedas_own_keys_are_no_concern_of_ours() -> None:
    """KEDA sends the whole map, its own keys included."""
    assert (
        parse_metadata({"scalerAddress": "scaler:6000", "enableTLS": "true", "unsafeSsl": "false"}) == TriggerMetadata()
    )


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("max", "0", "max = 0: must be >= 1; set it to a value >= 1"),
        ("max", "150001", "max = 150001: must be <= 150000; set it to a value <= 150000"),
        ("max", "9" * 400, f"max = {'9' * 60}...: must be <= 150000; set it to a value <= 150000"),
        ("max", "9" * 5_000, f"max = '{'9' * 59}...: must be a whole number; write a smaller one"),
        ("tokensPerPod", "9" * 400, f"tokensPerPod = {'9' * 60}...: must be a number; write a smaller one"),
        ("pool", "", "pool = '': must not be empty; write something or leave the key out"),
        ("min", "-1", "min = -1: must be >= 0; set it to a value >= 0"),
        ("min", "", "min = '': must be a whole number; write its digits"),
        ("slotsPerPod", "1.5", "slotsPerPod = 1.5: must be a whole number; write its digits"),
        ("activation", "nan", "activation = 'nan': must be a number; write its digits"),
        ("activation", "1e999", "activation = inf: must be a finite number; write its digits"),
        ("pauseUp", "yes", "pauseUp = 'yes': must be true or false; write true or false"),
        ("mode", "recomend", "mode = 'recomend': must be off, recommend or auto; did you mean \"recommend\"?"),
        (
            "targetWaitP95",
            "30 sec",
            "targetWaitP95 = '30 sec': must be a duration above zero; write 30s, 5m or 1h30m, or a number of seconds",
        ),
        ("targetWaitP95", "0s", "targetWaitP95 = '0s': must be a duration above zero; "),
        ("class", "No!", "class = 'No!': must be at most 63 lower-case letters, digits, dots and hyphens; "),
        ("slotPerPod", "4", 'slotPerPod = 4: unknown key; did you mean "slotsPerPod"?'),
        ("query", "up", "query = 'up': unknown key; remove it; known here: mode, "),
        ("classFromEnv", "coding", "classFromEnv: is not read here; write class itself"),
        ("caCert", "PEM", "caCert: is not read here; move it to the TriggerAuthentication of this trigger"),
    ],
)
def test_a_value_out_of_range_is_named_with_key_value_range_and_way_out(key: str, value: str, told: str) -> None:
    """Whoever wrote the ScaledObject reads in KEDA's event what to change."""
    with pytest.raises(MetadataError) as caught:
        parse_metadata({key: value})
    assert str(caught.value).startswith(told)


@pytest.mark.parametrize(
    ("namespace", "name", "told"),
    [
        ("agents", "B", "name = 'B': must be at most 63 lower-case letters, digits, dots and hyphens; "),
        ("a.b", "coder", "namespace = 'a.b': must be at most 63 lower-case letters, digits and hyphens; "),
    ],
)
def test_what_a_name_may_have_is_told_as_it_is(namespace: str, name: str, told: str) -> None:
    """A pool may be called a.b, and a namespace may not."""
    assert pool_key(TriggerMetadata(), "agents", "a.b") == PoolKey("agents", "a.b")
    with pytest.raises(MetadataError) as caught:
        pool_key(TriggerMetadata(), namespace, name)
    assert str(caught.value).startswith(told)


def test_all_that_is_wrong_is_told_at_once_and_the_message_stays_short() -> None:
    """Five problems are told and the rest counted: the message travels in a gRPC trailer, which holds 8 KiB."""
    wrong = {f"unknown{'x' * 5_000}{n}": "y" * 5_000 for n in range(20)}
    with pytest.raises(MetadataError) as caught:
        parse_metadata(wrong)
    assert len(caught.value.problems) == 20
    assert len(str(caught.value)) <= 2_000
    with pytest.raises(MetadataError, match=r" \| and 2 more$"):
        parse_metadata({f"a{n}": "" for n in range(7)})


def test_more_keys_than_could_be_meant_are_refused_unread() -> None:
    """Whoever may create a ScaledObject must not be able to keep the scaler busy with a thousand slips of the pen."""
    with pytest.raises(MetadataError, match="metadata = 65 keys: must have at most 64 keys; remove some"):
        parse_metadata({f"a{n}": "" for n in range(65)})


@given(st.sampled_from([*KEYS, "unheardOf", *KEDA_SECRETS]))
def test_a_value_from_the_environment_is_never_repeated(key: str) -> None:
    """It may be a secret that was put there by mistake, and errors end up in events and logs."""
    value = "s3cr3t value /"
    with pytest.raises(MetadataError) as caught:
        pool_key(parse_metadata({key + FROM_ENV: value}), "agents", "coder")
    assert "s3cr3t" not in str(caught.value)
    assert key in str(caught.value)


def test_a_key_written_twice_is_refused() -> None:
    """The value and the environment cannot both be meant."""
    with pytest.raises(MetadataError, match="maxFromEnv: is set beside max; keep one of the two"):
        parse_metadata({"max": "1", "maxFromEnv": "2"})


@pytest.mark.parametrize(
    ("asked", "pool"),
    [({}, "coder"), ({"pool": "shared"}, "shared"), ({"pool": "agents/shared"}, "shared")],
    ids=["its own name", "another name", "with the namespace"],
)
def test_a_pool_is_read_in_the_triggers_own_namespace(asked: dict[str, str], pool: str) -> None:
    """The ScaledObject's name is the pool's unless the trigger names another."""
    assert pool_key(parse_metadata(asked), "agents", "coder") == PoolKey("agents", pool)


@pytest.mark.parametrize("asked", ["billing/shared", "agents/../billing/shared", "/shared", "Agents/shared"])
def test_a_pool_of_another_namespace_is_refused(asked: str) -> None:
    """Metadata arrives from any namespace: it cannot name what belongs to another."""
    with pytest.raises(
        ForeignPoolError, match="a pool is read only by its own namespace, and this trigger is in 'agents'"
    ):
        pool_key(parse_metadata({"pool": asked}), "agents", "coder")


@given(st.text(max_size=70), st.text(max_size=70))
def test_only_names_that_kubernetes_takes_become_part_of_a_query(namespace: str, name: str) -> None:
    """What fills a query's placeholder holds no quote, brace or anything else that PromQL reads."""
    try:
        key = pool_key(TriggerMetadata(), namespace, name)
    except MetadataError:
        return
    assert set("".join(key)) <= set("abcdefghijklmnopqrstuvwxyz0123456789-.")


@pytest.mark.parametrize("name", ['x"} or vector(1) #', "x{", "", "a" * 64, "-a", "a..b", "a\n"])
def test_a_name_that_kubernetes_would_not_take_is_refused(name: str) -> None:
    """An injection dies at the door, wherever it is written."""
    with pytest.raises(MetadataError):
        pool_key(TriggerMetadata(), "agents", name)
    with pytest.raises(MetadataError):
        pool_key(TriggerMetadata(), name, "coder")
