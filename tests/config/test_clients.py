"""Which client may ask for which namespaces, and how the file says so."""

from __future__ import annotations

import json
import re

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from scaler.config.clients import EVERY, Clients, MayAsk, names
from scaler.config.metadata import parse_metadata
from scaler.config.problems import ConfigError
from scaler.config.settings import parse_settings
from tests.house.source import ROOT

PAGE = ROOT / "docs/tls.md"
URI = "spiffe://cluster.local/ns/agents/sa/coder"
SPIFFE = "spiffe://cluster.local/ns/{namespace}/sa/*"
PAIR = {"certificate": "/tls/tls.crt", "key": "/tls/tls.key"}
LABEL = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,8}[a-z0-9])?", fullmatch=True)
ODD = st.text(st.sampled_from("ab.*/{}[]()+?^$|\\- :@"), min_size=1, max_size=12)


def may_ask(rules: MayAsk | None, client: tuple[str, ...], namespace: str) -> bool:
    """Whether nothing is said against it."""
    return Clients(lambda: rules, "here").refusal(client, namespace) is None


@pytest.mark.parametrize(
    ("rule", "namespaces", "client", "namespace", "expected"),
    [
        ("CN=keda-operator", ("*",), "CN=keda-operator", "agents", True),
        ("CN=keda-operator", ("*",), "CN=keda-operator", EVERY, True),
        ("CN=keda-operator", ("agents",), "CN=keda-operator", EVERY, False),
        ("CN=keda-operator", ("*",), "keda-operator", "agents", False),
        ("keda-operator", ("*",), "CN=keda-operator", "agents", False),
        (URI, ("agents", "others"), URI, "others", True),
        (URI, ("agents",), URI + "/more", "agents", False),
        (SPIFFE, ("{namespace}",), URI, "agents", True),
        (SPIFFE, ("{namespace}",), URI, "others", False),
        (SPIFFE, ("{namespace}", "shared"), URI, "shared", True),
        (SPIFFE, ("{namespace}",), URI, EVERY, False),
        (SPIFFE, ("{namespace}",), "spiffe://cluster.local/ns/*/sa/coder", EVERY, False),
        (SPIFFE, ("{namespace}",), "spiffe://cluster.local/ns/a/b/sa/coder", "a/b", False),
        (SPIFFE, ("{namespace}",), "spiffe://cluster.local/ns/agents/sa/a/b", "agents", False),
        (SPIFFE, ("{namespace}",), "spiffe://cluster.local/ns/agents/sa/my.agent", "agents", True),
        (SPIFFE, ("{namespace}",), "spiffe://clusterXlocal/ns/agents/sa/coder", "agents", False),
        ("*.agents.svc", ("agents",), "coder.agents.svc", "agents", True),
        ("*.agents.svc", ("agents",), "a.coder.agents.svc", "agents", False),
        ("*.agents.svc", ("agents",), ".agents.svc", "agents", False),
        ("{namespace}.{namespace}.svc", ("{namespace}",), "agents.agents.svc", "agents", True),
        ("{namespace}.{namespace}.svc", ("{namespace}",), "agents.others.svc", "agents", False),
        ("coder", ("agents",), "coder\n", "agents", False),
    ],
)
def test_a_rule_covers_exactly_whom_it_names(
    rule: str, namespaces: tuple[str, ...], client: str, namespace: str, *, expected: bool
) -> None:
    """A star and a namespace end with their segment, and a common name is no alternative name."""
    assert may_ask({rule: namespaces}, (client,), namespace) is expected


@given(ODD, LABEL)
def test_a_rule_without_stars_means_its_own_letters(name: str, namespace: str) -> None:
    """Whatever else would be special in an expression."""
    plain = name.replace("*", "x")
    assert may_ask({plain: (namespace,)}, (plain,), namespace)
    assert not may_ask({plain: (namespace,)}, (plain + "a",), namespace)
    assert not may_ask({plain: (namespace,)}, ("a" + plain,), namespace)


@given(LABEL, LABEL)
def test_a_client_of_one_namespace_asks_for_no_other(own: str, other: str) -> None:
    """The one rule for all tenants lets each into its own."""
    client = (f"spiffe://cluster.local/ns/{own}/sa/keda",)
    assert may_ask({SPIFFE: ("{namespace}",)}, client, other) is (own == other)


def test_rules_add_up_and_none_differs_from_no_rules() -> None:
    """An empty table lets nobody in; no table lets everybody in."""
    rules: MayAsk = {"CN=a": ("agents",), "b": ("others",)}
    assert [may_ask(rules, ("CN=a", "b"), n) for n in ("agents", "others", "third")] == [True, True, False]
    assert [may_ask(rules, (), n) for n in ("agents", EVERY)] == [False, False]
    assert [may_ask({}, ("CN=a",), "agents"), may_ask(None, (), "agents"), may_ask(None, (), EVERY)] == [
        False,
        True,
        True,
    ]


def test_an_alternative_name_does_not_pose_as_a_common_name() -> None:
    """An authority that lets people choose their DNS names does not let them choose who they are."""
    assert names("coder", ["CN=keda-operator", "coder.agents"]) == ("CN=coder", "coder.agents")
    assert names(None, []) == ()


def test_a_refusal_names_the_client_the_namespace_and_the_key() -> None:
    """The author of the rules can copy the name from it."""
    clients = Clients(dict, "tls.keda.clients.may_ask")
    told = "may not ask for namespace 'agents'; list that for one of its names under tls.keda.clients.may_ask"
    assert clients.refusal(("CN=a", URI), "agents") == f"the client certificate 'CN=a', '{URI}' {told}"
    assert clients.refusal((), EVERY) == (
        "the client certificate without names may not ask for every namespace; "
        "list that for one of its names under tls.keda.clients.may_ask"
    )


@pytest.mark.parametrize(
    ("door", "fault"),
    [
        ({"certificate": "/a"}, "line 1: tls.keda.key: is required; add it"),
        (
            {**PAIR, "key": "tls.key"},
            "line 1: tls.keda.key = 'tls.key': must be the absolute path of a PEM file; write where the Secret is ",
        ),
        ({**PAIR, "client_ca": "/a"}, "line 1: tls.keda.client_ca = '/a': unknown key; "),
        ({**PAIR, "clients": {"may_ask": {}}}, "line 1: tls.keda.clients.ca: is required; add it"),
        (
            {**PAIR, "clients": {"ca": "/ca", "may_ask": {"CN=a": ["Agents"]}}},
            "line 1: tls.keda.clients.may_ask.CN=a[0] = 'Agents': must be a namespace, or \"*\" for every one, or ",
        ),
        (
            {**PAIR, "clients": {"ca": "/ca", "may_ask": {"CN=a": []}}},
            "line 1: tls.keda.clients.may_ask.CN=a = []: must not be empty; add an item or leave the key out",
        ),
        (
            {**PAIR, "clients": {"ca": "/ca", "may_ask": {"CN=": ["*"]}}},
            "line 1: tls.keda.clients.may_ask.CN= = 'CN=': must be a subject alternative name or CN=NAME, of at most ",
        ),
        (
            {**PAIR, "clients": {"ca": "/ca", "may_ask": {"*.*.*.*.*": ["*"]}}},
            "line 1: tls.keda.clients.may_ask.*.*.*.*.* = '*.*.*.*.*': must be a subject alternative name or CN=NAME",
        ),
        (
            {**PAIR, "clients": {"ca": "/ca", "may_ask": {"CN=a": ["{namespace}"]}}},
            "line 1: tls.keda.clients.may_ask = {'CN=a': ['{namespace}']}: CN=a has no {namespace} in it",
        ),
    ],
    ids=["no key", "relative", "unknown", "no ca", "namespace", "nothing", "nobody", "stars", "no place"],
)
def test_a_mistake_in_the_file_is_told_with_key_value_and_way_out(door: dict[str, object], fault: str) -> None:
    """Before any file is opened."""
    with pytest.raises(ConfigError) as caught:
        parse_settings(json.dumps({"tls": {"keda": door}}))
    assert [str(problem).startswith(fault) for problem in caught.value.problems] == [True], caught.value


def test_the_page_about_tls_shows_what_works() -> None:
    """Its configuration is a good one, and what KEDA needs is what ships, to the last field."""
    blocks = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    settings, objects = parse_settings(blocks[0]), list(yaml.safe_load_all(blocks[-1]))
    assert settings.tls.keda is not None
    assert settings.tls.http is not None
    files = [ROOT / "keda" / f"{name}.yaml" for name in ("triggerauthentication", "scaledobject-mtls")]
    assert objects == [each for file in files for each in yaml.safe_load_all(file.read_text())]
    authentication, scaled = objects
    given = {ref["parameter"]: ref["key"] for ref in authentication["spec"]["secretTargetRef"]}
    assert given == {"caCert": "ca.crt", "tlsClientCert": "tls.crt", "tlsClientKey": "tls.key"}
    [trigger] = scaled["spec"]["triggers"]
    assert trigger["authenticationRef"]["name"] == authentication["metadata"]["name"]
    assert parse_metadata(trigger["metadata"]).class_ == "coding"


def test_every_scaled_object_names_the_address_that_the_drain_controller_goes_by() -> None:
    """In the examples and on the pages: a pool with another address is sized, and nobody drains its pods."""
    protected = (ROOT / "manifests/overlays/protected/kustomization.yaml").read_text()
    [address] = re.findall(r"--control=(\S+)", protected)
    texts = [path.read_text() for path in (*ROOT.glob("keda/*.yaml"), ROOT / "README.md", *ROOT.glob("docs/*.md"))]
    named = [each for text in texts for each in re.findall(r"scalerAddress: ([^\s,}]+)", text)]
    assert set(named) == {address}
