"""What our ServiceAccounts may do beside what they did: least privilege, measured over everything that was told.

The audit log says of each request which role allowed it, so a right that two roles grant is used only in the first.
What is applied and not there is created, which takes that right too: the log has no word for it but the status.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, NamedTuple

from tests.cluster.harness.audit import Request
from tests.cluster.harness.rest import Document, Json

ALLOWING: Final = re.compile(r'of (ClusterRole|Role) "([^"]+)"')
USER: Final = re.compile(r"system:serviceaccount:[^:]+:(.+)")


class Right(NamedTuple):
    """A verb on a resource, by the role that grants it; ``pods/eviction`` is a resource of its own."""

    role: str
    group: str
    resource: str
    verb: str


@dataclass(frozen=True, slots=True)
class Used:
    """What our ServiceAccounts did.

    Attributes:
        rights: those without which it would have been refused.
        denied: requests that were refused for want of a right, in words.
    """

    rights: frozenset[Right] = frozenset()
    denied: tuple[str, ...] = ()

    def __add__(self, other: Used) -> Used:
        return Used(self.rights | other.rights, (*self.denied, *other.denied))


def accounts(documents: Iterable[Document]) -> frozenset[str]:
    """The names of the ServiceAccounts among these."""
    return frozenset(_name(document) for document in documents if document["kind"] == "ServiceAccount")


def used(requests: Iterable[Request], names: frozenset[str]) -> Used:
    """What the ServiceAccounts of these names did, in whatever namespace a story has put them."""
    rights: set[Right] = set()
    denied: dict[str, None] = {}
    for request in requests:
        if (user := USER.fullmatch(request.user)) is None or user[1] not in names:
            continue
        what = f"{request.resource}/{request.subresource}".rstrip("/")
        if request.decision == "forbid":
            denied[f"{request.user} may not {request.verb} {what or request.path} ({request.group or 'core'})"] = None
        elif allowing := ALLOWING.search(request.reason):
            role = f"{allowing[1]} {allowing[2]}"
            rights.add(Right(role, request.group, what, request.verb))
            if request.verb == "patch" and request.status == HTTPStatus.CREATED:  # applied, and it was not there
                rights.add(Right(role, request.group, what, "create"))
    return Used(frozenset(rights), tuple(denied))


def granted(documents: Sequence[Document]) -> frozenset[Right]:
    """Every right that these documents grant to a ServiceAccount."""
    roles = {_bound(document) for document in documents if _binds_an_account(document)}
    return frozenset(
        right
        for document in documents
        if (role := f"{document['kind']} {_name(document)}") in roles
        for rule in _mappings(document, "rules")
        for right in _rights(role, rule)
    )


def complaints(granted: frozenset[Right], used: Used, *, everything: bool) -> list[str]:
    """What is wrong: rights that are missing, and, once every story has been told, rights that nobody needed."""
    idle = sorted(granted - used.rights) if everything else []
    return [
        *used.denied,
        *(f"{r.role} grants {r.verb} {r.resource} ({r.group or 'core'}), which no story uses" for r in idle),
    ]


def _rights(role: str, rule: Mapping[str, Json]) -> Iterator[Right]:
    for group in _words(rule, "apiGroups"):
        for resource in _words(rule, "resources"):
            for verb in _words(rule, "verbs"):
                yield Right(role, group, resource, verb)


def _binds_an_account(document: Document) -> bool:
    return any(subject.get("kind") == "ServiceAccount" for subject in _mappings(document, "subjects"))


def _bound(document: Document) -> str:
    """The role that a binding binds."""
    ref = document["roleRef"]
    assert isinstance(ref, dict)
    return f"{ref['kind']} {ref['name']}"


def _name(document: Document) -> str:
    metadata = document["metadata"]
    assert isinstance(metadata, dict)
    return str(metadata["name"])


def _mappings(document: Document, key: str) -> list[Mapping[str, Json]]:
    found = document.get(key)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _words(rule: Mapping[str, Json], key: str) -> list[str]:
    found = rule.get(key)
    return [str(each) for each in found] if isinstance(found, list) else []
