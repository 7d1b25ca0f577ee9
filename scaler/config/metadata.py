"""The metadata of a KEDA trigger: what one ScaledObject may say about its own pool.

It arrives from any namespace with every key its author wrote, so it is read strictly, it never holds a query or a URL,
and it never names another namespace's pool.

KEDA passes on its own keys too, and keeps the suffix of a ``...FromEnv`` key beside the value it found; such a value
may be a secret and is never repeated.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Final

from pydantic import ConfigDict, Field, StringConstraints, ValidationError
from pydantic.alias_generators import to_camel

from scaler.config import blame
from scaler.config.fields import Name
from scaler.config.knobs import Knobs
from scaler.config.names import is_name, is_namespace
from scaler.config.pool import PoolKey
from scaler.config.problems import DIGITS, ForeignPoolError, MetadataError, Problem, shown

KEDA_KEYS: Final = frozenset({"scalerAddress", "enableTLS", "unsafeSsl"})
KEDA_SECRETS: Final = frozenset({"caCert", "tlsClientCert", "tlsClientKey", "tlsCertFile"})  # it ignores them here
FROM_ENV: Final = "FromEnv"
MOST_KEYS: Final = 64  # four times what can be said; looking for the nearest known word takes time for each that is not

_WHOLE: Final = re.compile(rf"[-+]?\d{{1,{DIGITS}}}")
_NUMBER: Final = re.compile(r"[-+]?(\d{1,18}(\.\d*)?|\.\d+)([eE][-+]?\d{1,3})?")
_TEXT_KEYS: Final = frozenset(
    {"pool", "class", "warmPool"}
)  # later messages repeat them, so they never come from the environment


class TriggerMetadata(Knobs):
    """What the trigger may set. Keys are written in camel case, as KEDA's are.

    Two are equal if they set the same keys to the same values: a key that is set to its default overrules the class,
    and one that is not set does not.
    """

    model_config = ConfigDict(alias_generator=to_camel)

    pool: Annotated[str, StringConstraints(strict=True, min_length=1)] | None = Field(
        default=None,
        description="The pool's name where it is not the ScaledObject's; always in the ScaledObject's namespace.",
    )
    class_: Name | None = Field(default=None, alias="class", description="The class it takes its policy from.")
    warm_pool: Name | None = Field(
        default=None,
        description="The SandboxWarmPool that the ScaledObject scales, which the file names under warm_pools.pools; "
        "always in the ScaledObject's namespace, and the only key of its trigger.",
    )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TriggerMetadata) and self._set() == other._set()

    def __hash__(self) -> int:
        return hash(self._set())

    def _set(self) -> frozenset[tuple[str, object]]:
        return frozenset((key, getattr(self, key)) for key in self.model_fields_set)


def parse_metadata(metadata: Mapping[str, str]) -> TriggerMetadata:
    """Read the ``scalerMetadata`` of a request.

    Raises:
        MetadataError: with every key that is unknown and every value that is out of range.
    """
    if len(metadata) > MOST_KEYS:
        allowed = f"must have at most {MOST_KEYS} keys"
        raise MetadataError(
            [Problem(path="metadata", value=f"{len(metadata)} keys", allowed=allowed, way_out="remove some")]
        )
    plain, found = _split(metadata)
    try:
        parsed = TriggerMetadata.model_validate({key: _scalar(key, text) for key, text in plain.items()})
    except ValidationError as error:
        found += blame.problems(error, TriggerMetadata, {})
        raise MetadataError(_discreet(p, metadata) for p in found) from None
    if found:
        raise MetadataError(found)
    if parsed.warm_pool is not None and len(plain) > 1:
        raise MetadataError([_beside(key) for key in plain if key != to_camel("warm_pool")])
    return parsed


def pool_key(metadata: TriggerMetadata, namespace: str, name: str) -> PoolKey:
    """The pool that a ScaledObject called ``name`` in ``namespace`` speaks of.

    Raises:
        ForeignPoolError: the metadata names a pool of another namespace.
        MetadataError: a name that Kubernetes would not take.
    """
    asked = metadata.pool or name
    owner, slash, pool = asked.rpartition("/")
    if slash and owner != namespace:
        allowed = f"a pool is read only by its own namespace, and this trigger is in {shown(namespace)}"
        raise ForeignPoolError([Problem(path="pool", value=shown(asked), allowed=allowed, way_out="name a pool there")])
    found = [_bad_namespace(namespace)] if not is_namespace(namespace) else []
    found += (
        [_bad_name("pool" if metadata.pool else "name", pool, "digits, dots and hyphens")] if not is_name(pool) else []
    )
    if found:
        raise MetadataError(found)
    return PoolKey(namespace, pool)


def warm_key(metadata: TriggerMetadata, namespace: str) -> PoolKey | None:
    """The warm pool that a trigger in this namespace speaks of; None where it speaks of a pool of pods.

    Raises:
        MetadataError: a namespace that Kubernetes would not take.
    """
    if metadata.warm_pool is None:
        return None
    if not is_namespace(namespace):
        raise MetadataError([_bad_namespace(namespace)])
    return PoolKey(namespace, metadata.warm_pool)


def _beside(key: str) -> Problem:
    allowed = "is not read beside warmPool"
    return Problem(path=key, value=None, allowed=allowed, way_out="set it in the file, under warm_pools")


def _bad_namespace(text: str) -> Problem:
    return _bad_name("namespace", text, "digits and hyphens")


def _bad_name(path: str, text: str, rest: str) -> Problem:
    allowed = f"must be at most 63 lower-case letters, {rest}"
    return Problem(path=path, value=shown(text), allowed=allowed, way_out="use a name Kubernetes would take")


def _split(metadata: Mapping[str, str]) -> tuple[dict[str, str], tuple[Problem, ...]]:
    """Our keys without their suffix and KEDA's left out, and what is wrong with the keys themselves."""
    plain: dict[str, str] = {}
    found: list[Problem] = []
    for key, text in metadata.items():
        ours = key.removesuffix(FROM_ENV)
        if key in KEDA_SECRETS or ours in KEDA_SECRETS:
            found.append(_misplaced(key, "move it to the TriggerAuthentication of this trigger"))
        elif ours != key and ours in _TEXT_KEYS:
            found.append(_misplaced(key, f"write {ours} itself"))
        elif ours != key and ours in metadata:
            allowed = f"is set beside {ours}"
            found.append(Problem(path=key, value=None, allowed=allowed, way_out="keep one of the two"))
        elif key not in KEDA_KEYS:
            plain[ours] = text
    return plain, tuple(found)


def _misplaced(key: str, way_out: str) -> Problem:
    return Problem(path=key, value=None, allowed="is not read here", way_out=way_out)


def _discreet(problem: Problem, metadata: Mapping[str, str]) -> Problem:
    """The problem under the key that was written, without a value that came from the environment."""
    if problem.path in metadata:
        return problem
    return replace(problem, path=problem.path + FROM_ENV, value=None)


def _scalar(key: str, text: str) -> str | int | float | bool:
    """Metadata is text throughout; numbers and truth values are read as the file's are."""
    if key in _TEXT_KEYS:
        return text
    if text in {"true", "false"}:
        return text == "true"
    if _WHOLE.fullmatch(text):
        return int(text)
    return float(text) if _NUMBER.fullmatch(text) else text
