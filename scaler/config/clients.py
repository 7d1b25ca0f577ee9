"""Which client may ask for which namespaces, by the names in its certificate.

A certificate's names are its subject alternative names as they are, and its common name written ``CN=name``. A rule
names a client by one of them. In a rule ``*`` stands for one or more characters, and ``{namespace}`` for a namespace;
neither goes beyond its segment, and segments are parted by ``/`` in a URI and by ``.`` in every other name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache, partial
from typing import Final, TypeAlias

from scaler.config.problems import shown

EVERY: Final = "*"  # every namespace
OWN: Final = "{namespace}"  # the namespace that stands in the client's name
COMMON: Final = "CN="
NAMED: Final = 5  # names of a client that a refusal repeats
REMEMBERED: Final = 20_000  # pairs of client and namespace; two for each pool of a full house

Names: TypeAlias = tuple[str, ...]
MayAsk: TypeAlias = Mapping[str, tuple[str, ...]]
Compiled: TypeAlias = tuple[tuple[re.Pattern[str], tuple[str, ...]], ...]

_WILD: Final = re.compile(rf"\*|{re.escape(OWN)}")


def names(common: str | None, alternatives: Iterable[str]) -> Names:
    """The names of a certificate. An alternative that poses as a common name is none."""
    own = () if common is None else (f"{COMMON}{common}",)
    return (*own, *(name for name in alternatives if not name.startswith(COMMON)))


class Clients:
    """Keeps clients to their namespaces, by rules that may change while it does. None lets all of them pass.

    ``where`` is the key of the rules, which a refusal names.
    """

    def __init__(self, rules: Callable[[], MayAsk | None], where: str) -> None:
        self._source, self._where = rules, where
        self._adopt(rules())

    @property
    def are_free(self) -> bool:
        """Whether every client may ask for every namespace now."""
        return self._now() is None

    def refusal(self, client: Names, namespace: str) -> str | None:
        """Why the client of these names may not ask for the namespace, or for each where it is ``EVERY``."""
        self._now()
        if self._may_ask(client, namespace):
            return None
        who = ", ".join(shown(name) for name in client[:NAMED]) or "without names"
        what = "every namespace" if namespace == EVERY else f"namespace {shown(namespace)}"
        return (
            f"the client certificate {who} may not ask for {what}; list that for one of its names under {self._where}"
        )

    def _now(self) -> MayAsk | None:
        """The rules as they are now, adopted if they are new."""
        rules = self._source()
        if rules is not self._rules:
            self._adopt(rules)
        return rules

    def _adopt(self, rules: MayAsk | None) -> None:
        self._rules = rules
        compiled = None if rules is None else tuple((_pattern(name), spaces) for name, spaces in rules.items())
        self._may_ask = lru_cache(maxsize=REMEMBERED)(partial(_may_ask, compiled))


def _may_ask(rules: Compiled | None, client: Names, namespace: str) -> bool:
    if rules is None:
        return True
    matched = ((rule.fullmatch(name), spaces) for name in client for rule, spaces in rules)
    return any(found is not None and _covers(found, spaces, namespace) for found, spaces in matched)


def _covers(client: re.Match[str], spaces: tuple[str, ...], namespace: str) -> bool:
    """Whether the namespace is among those of the rule that this client's name matches."""
    own = client.groupdict().get("namespace")
    return EVERY in spaces or namespace in spaces or (OWN in spaces and namespace == own)


def _pattern(rule: str) -> re.Pattern[str]:
    """The rule as an expression. The namespace's place is where it stands first, and the same where it stands again."""
    segment = "[^/]" if "://" in rule else "[^.]"
    written, at = "", 0
    for wild in _WILD.finditer(rule):
        written += re.escape(rule[at : wild.start()])
        at = wild.end()
        if wild.group() == "*":
            written += f"{segment}+"
        else:
            written += "(?P=namespace)" if "(?P<namespace>" in written else "(?P<namespace>[-a-z0-9]+)"
    return re.compile(written + re.escape(rule[at:]))
