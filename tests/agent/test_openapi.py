"""The OpenAPI file says what gates answer: each answer that a story brings fits, and no other status comes."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeAlias

import jsonschema
import pytest
import yaml

from scaler.agent.desk import Desk, Question
from scaler.agent.orders import ACTS, AUDIENCE, LONGEST
from tests.agent.material import NOW, UID, Site
from tests.house.source import ROOT

SPEC: dict[str, Any] = yaml.safe_load((ROOT / "scaler/agent/openapi.yaml").read_text())
Step: TypeAlias = Callable[[Site, Desk], Question]


def fits(value: object, schema: dict[str, Any]) -> None:
    """Hold a value against a schema of the file."""
    whole = {**schema, "components": SPEC["components"]}
    jsonschema.Draft202012Validator(whole).validate(value)


def answered(question: Question, desk: Desk) -> int:
    """Ask, and hold the answer against what the file says of this status."""
    reply = desk.answer(question)
    operation = SPEC["paths"][question.path][question.method.lower()]
    said = operation["responses"][str(reply.status)]
    if "$ref" in said:
        said = SPEC["components"]["responses"][said["$ref"].rpartition("/")[2]]
    fits(json.loads(reply.body), said["content"]["application/json"]["schema"])
    return reply.status


def order(act: str, epoch: int) -> Step:
    """An order that is believed."""
    return lambda site, _: Question("POST", f"/{act}", site.order(act, epoch))


def look(_: Site, __: Desk) -> Question:
    """A look at the activity."""
    return Question("GET", "/activity")


def forged(site: Site, _: Desk) -> Question:
    """An order that is not believed."""
    return Question("POST", "/drain", json.dumps({"order": site.signer.sign({"sub": UID})}).encode())


def for_another(site: Site, _: Desk) -> Question:
    """An order for another pod."""
    token = site.signer.order("drain", "another", 1, NOW)
    return Question("POST", "/drain", json.dumps({"order": token}).encode())


def rubbish(_: Site, __: Desk) -> Question:
    """No order."""
    return Question("POST", "/resume", b"{}")


def full(site: Site, _: Desk) -> Question:
    """A drain on a disk that takes nothing."""
    site.file.with_name("gate.json.draft").mkdir()
    return Question("POST", "/drain", site.order("drain", 9))


STORY: list[tuple[Step, int]] = [
    (look, 200),
    (rubbish, 400),
    (forged, 403),
    (for_another, 409),
    (order("drain", 2), 200),
    (look, 200),
    (order("drain", 1), 409),
    (order("resume", 3), 200),
    (full, 503),
    (look, 200),
]


@pytest.mark.parametrize("busy", [False, True], ids=["idle", "busy"])
def test_every_answer_fits_its_schema(site: Site, *, busy: bool) -> None:
    """Through a whole story, idle and busy."""
    desk = Desk(site.gate())
    if busy:
        desk.gate.task(seconds=20).begin()
        desk.gate.session(60).begin()
    assert [answered(step(site, desk), desk) for step, _ in STORY] == [status for _, status in STORY]


def test_every_status_of_the_file_comes_in_the_story() -> None:
    """None is told that never happens."""
    told = {
        status for path in SPEC["paths"].values() for operation in path.values() for status in operation["responses"]
    }
    assert told == {str(status) for _, status in STORY}


def test_the_claims_are_those_that_are_believed(site: Site) -> None:
    """What the controller signs fits, and the file says what the gate demands."""
    claims = SPEC["components"]["schemas"]["Claims"]
    payload = site.signer.order("drain", UID, 3, NOW)
    fits({"sub": UID, "aud": AUDIENCE, "act": "drain", "epoch": 3, "iat": NOW, "exp": NOW + 60}, claims)
    assert payload.count(".") == 2
    assert claims["properties"]["act"]["enum"] == list(ACTS)
    assert f"{LONGEST:.0f} after iat" in claims["properties"]["exp"]["description"]


def test_a_wrong_answer_does_not_fit() -> None:
    """The file is strict enough to find one."""
    schemas = SPEC["components"]["schemas"]
    for name, wrong in {
        "Activity": {"uid": UID, "inflight": -1},
        "Busy": {"state": "busy", "epoch": 1},
        "Drained": {"state": "active", "epoch": 1},
    }.items():
        with pytest.raises(jsonschema.ValidationError):
            fits(wrong, schemas[name])
