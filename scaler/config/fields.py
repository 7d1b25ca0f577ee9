"""The kinds of value a configuration is made of: durations, names, templates, URLs.

Each refuses with a ``PydanticCustomError`` whose context holds what is allowed and the way out, so that ``blame`` can
report both.
"""

from __future__ import annotations

import math
import re
import sys
from typing import Annotated, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from scaler.config.addresses import is_base_url, is_page
from scaler.config.names import LONGEST, SUBDOMAIN, is_name, is_namespace
from scaler.config.problems import suggest

PODS_MOST: Final = 150_000  # no supported cluster holds more pods
PLACEHOLDERS: Final = ("namespace", "name")
TEMPLATE_LONGEST: Final = 8_192  # characters
DURATION_LONGEST: Final = 64  # characters

_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_PART: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_DURATION: Final = re.compile(rf"(?:{_PART.pattern})+")
_PLACEHOLDER: Final = re.compile(r"\{([A-Za-z_]\w*)\}")
_WORKLOAD: Final = re.compile(
    rf"((deployments|statefulsets|replicasets)|{SUBDOMAIN.pattern}/v[0-9][a-z0-9]*/[a-z]+)/{SUBDOMAIN.pattern}"
)
_WALL_TIME: Final = re.compile(r"([01]\d|2[0-3]):[0-5]\d")


def refusal(allowed: str, way_out: str) -> PydanticCustomError:
    """The error a validator raises, with both halves of the message."""
    return PydanticCustomError("refused", "{allowed}", {"allowed": allowed, "way_out": way_out})


def seconds(value: object) -> float:
    """Seconds from ``30s``, ``1m30s``, ``2h``, ``250ms`` or a plain number of seconds; more than none."""
    length = math.nan
    if isinstance(value, str) and len(value) <= DURATION_LONGEST and _DURATION.fullmatch(value):
        length = sum(float(count) * _UNITS[unit] for count, unit in _PART.findall(value))
    elif isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= sys.float_info.max:
        length = float(value)  # within its range, for a whole number may have any length
    if not (0 < length < math.inf):
        raise refusal("must be a duration above zero", "write 30s, 5m or 1h30m, or a number of seconds")
    return length


_Seconds = Annotated[float, Field(gt=0)]
_Written = Annotated[str, Field(pattern=f"^{_DURATION.pattern}$")]
Duration = Annotated[
    float,
    BeforeValidator(seconds, json_schema_input_type=_Seconds | _Written),
    Field(json_schema_extra={"examples": ["30s", "5m", "1h30m", 2.5]}),
]

GRACE_MOST: Final = 7 * 24 * 3600  # seconds: nobody drains a node that long


def _whole(value: float) -> float:
    if value < 1 or value > GRACE_MOST or value != int(value):
        raise refusal(f"must be whole seconds from 1 to {GRACE_MOST}", "write 600, or 10m")
    return value


Grace = Annotated[Duration, AfterValidator(_whole)]


def _name(text: str) -> str:
    if not is_name(text):
        raise refusal(
            f"must be at most {LONGEST} lower-case letters, digits, dots and hyphens",
            "use a name Kubernetes would take",
        )
    return text


def _pool_name(text: str) -> str:
    namespace, slash, name = text.partition("/")
    if not (slash and is_namespace(namespace) and is_name(name)):
        raise refusal("must be NAMESPACE/NAME", "name the ScaledObject as Kubernetes does, as in agents/coder")
    return text


Name = Annotated[str, Field(strict=True), AfterValidator(_name)]
PoolName = Annotated[str, Field(strict=True), AfterValidator(_pool_name)]


def fill(template: str, *, namespace: str, name: str) -> str:
    """The template with ``{namespace}`` and ``{name}`` replaced. Braces that hold anything else stay as they are."""
    return template.replace("{namespace}", namespace).replace("{name}", name)


def is_scoped(template: str) -> bool:
    """Whether what the template reads depends on the namespace that asks."""
    return "{namespace}" in template


def _template(text: str) -> str:
    if not text.strip() or len(text) > TEMPLATE_LONGEST:
        raise refusal(f"must be 1 to {TEMPLATE_LONGEST} characters", "write the expression itself")
    for found in _PLACEHOLDER.findall(text):
        if found not in PLACEHOLDERS:
            raise refusal(
                f"{{{found}}} is no placeholder: those are {{namespace}} and {{name}}",
                suggest(found, PLACEHOLDERS, "remove it"),
            )
    return text


def _url(text: str) -> str:
    if not is_base_url(fill(_template(text), namespace="x", name="x")):
        raise refusal(
            "must be http://HOST[:PORT][/PATH] or https://..., without credentials, query or fragment",
            "write the server's base URL",
        )
    return text.rstrip("/")


def _page(text: str) -> str:
    if not is_page(fill(_template(text), namespace="x", name="x")):
        raise refusal(
            "must be http://HOST[:PORT][/PATH][?QUERY] or https://..., without credentials or fragment",
            "write the page's URL",
        )
    return text


def _wall_time(text: str) -> str:
    if not _WALL_TIME.fullmatch(text):
        raise refusal("must be a wall-clock time from 00:00 to 23:59", "write HH:MM, as in 08:00")
    return text


def _workload(text: str) -> str:
    if not _WORKLOAD.fullmatch(fill(_template(text), namespace="x", name="x")):
        raise refusal(
            "must be deployments/NAME, statefulsets/NAME, replicasets/NAME or GROUP/VERSION/PLURAL/NAME",
            "write it as in deployments/{name}",
        )
    return text


def _zone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (ValueError, OSError, ZoneInfoNotFoundError):
        raise refusal(
            "must be a time zone that this machine knows", "write a tz name such as Europe/Berlin, or install tzdata"
        ) from None
    return text


Template = Annotated[str, Field(strict=True), AfterValidator(_template)]
Url = Annotated[str, Field(strict=True), AfterValidator(_url)]
Page = Annotated[str, Field(strict=True), AfterValidator(_page)]
WorkloadPath = Annotated[Template, AfterValidator(_workload)]
WallTime = Annotated[str, Field(strict=True, examples=["08:00"]), AfterValidator(_wall_time)]
Zone = Annotated[str, Field(strict=True, examples=["Europe/Berlin"]), AfterValidator(_zone)]
