"""What pools own in the cluster, as it is applied."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import yaml

from scaler.config.pool import Essentials, Guard, PoolKey, Spread, WatchedPods
from scaler.controller.api import Json
from scaler.controller.owners import Ward, budget, mark, word, words
from tests.controller.objects import a_workload
from tests.house.source import ROOT


def ward(name: str = "coder", *, guard: Guard = Guard.DENY, holds: bool = True, **selector: str) -> Ward:
    """A pool that is looked after."""
    source = WatchedPods(pool=PoolKey("agents", name), kind="deployments", name=name)
    return Ward(source=source, selector=selector or {"app": name}, guard=guard, holds=holds)


def metadata(body: Any) -> dict[str, Json]:  # noqa: ANN401 (a document)
    """The metadata of a document."""
    found: dict[str, Json] = body["metadata"]
    return found


def test_a_namespace_has_a_word_for_each_pool_and_is_kept_while_one_holds() -> None:
    """The admission policy reads the words; the label keeps the namespace from being deleted under agents at work."""
    said = words("agents", [ward("coder", tier="gpu", app="x"), ward("review", holds=False)])
    assert said.path == "/api/v1/namespaces/agents"
    assert metadata(said.body) == {
        "name": "agents",
        "labels": {"agent-scaler.io/pools": "true", "agent-scaler.io/holds": "true"},
        "annotations": {
            "pool.agent-scaler.io/coder": "selector:app=x,tier=gpu;guard:deny;tolerate:NoExecute",
            "pool.agent-scaler.io/review": "selector:app=review;guard:deny;tolerate:NoExecute",
        },
    }


def test_a_word_says_what_else_pods_are_given() -> None:
    """The policy reads seconds and keys; what is not said is not given."""
    given = replace(ward(), essentials=Essentials(grace=600, spread=(Spread.ZONE, Spread.NODE)))
    assert word(given) == "selector:app=coder;guard:deny;tolerate:NoExecute;grace:600;spread:zone,node"


def test_a_namespace_only_audits_when_all_its_pools_do() -> None:
    """One that denies is not given up for its neighbours."""
    audits, denies = ward("a", guard=Guard.AUDIT), ward("b")
    assert metadata(words("agents", [audits]).body)["labels"] == {
        "agent-scaler.io/pools": "true",
        "agent-scaler.io/holds": "true",
        "agent-scaler.io/guard": "audit",
    }
    assert "agent-scaler.io/guard" not in str(metadata(words("agents", [audits, denies]).body)["labels"])


def test_without_pools_everything_of_ours_goes() -> None:
    """What is applied without a key takes away the key that we applied before."""
    assert metadata(words("agents", []).body) == {"name": "agents", "labels": {}, "annotations": {}}


def test_a_workload_is_marked_while_its_pods_are_not_drained() -> None:
    """By its uid, so that no workload is made where there is none."""
    workload = a_workload("uid-7", name="coder")
    held, free = mark(ward(), workload), mark(ward(holds=False), workload)
    assert metadata(held.body)["labels"] == {"agent-scaler.io/holds": "true"}
    assert metadata(free.body)["labels"] == {}
    assert metadata(held.body)["uid"] == "uid-7"


def test_a_budget_asks_for_more_than_anybody_has_of_pods_not_drained() -> None:
    """An integer, for percentages and maxUnavailable leak while replicas change."""
    body: Any = budget(ward().source).body
    assert body["spec"]["minAvailable"] == 2_147_483_647
    assert body["spec"]["selector"]["matchExpressions"] == [
        {"key": "agent-scaler.io/phase", "operator": "NotIn", "values": ["drained"]}
    ]


def test_a_pool_that_is_announced_beforehand_is_what_we_would_say_of_it() -> None:
    """So nobody takes anything back when the controller has heard of it. What the network goes by is the operator's."""
    announced = list(yaml.safe_load_all((ROOT / "keda" / "namespace.yaml").read_text()))
    assert announced[0]["metadata"]["labels"].pop("agent-scaler.io/agents") == "true"
    assert announced == [words("agents", [ward(holds=False)]).body, budget(ward().source).body]
