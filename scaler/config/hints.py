"""Who may announce work before it is queued, and how much of it."""

from __future__ import annotations

import re
from typing import Annotated, Final, Self

from pydantic import AfterValidator, Field, model_validator

from scaler.config.fields import Duration, Name, refusal
from scaler.config.knobs import Section
from scaler.config.names import is_namespace
from scaler.config.tls import Client

EVERY: Final = "*"  # every namespace
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


def _namespace(text: str) -> str:
    if text != EVERY and not is_namespace(text):
        raise refusal(f'must be a namespace, or "{EVERY}" for every one', "name it as Kubernetes does")
    return text


def _file(text: str) -> str:
    if not text.startswith("/") or "\0" in text:
        raise refusal("must be the absolute path of a file", "write where the Secret is mounted, from / on")
    return text


def _digest(text: str) -> str:
    if not _DIGEST.fullmatch(text):
        raise refusal("must be 64 lower-case hexadecimal digits", "write what `printf %s TOKEN | sha256sum` prints")
    return text


Namespace = Annotated[str, Field(strict=True), AfterValidator(_namespace)]
File = Annotated[str, Field(strict=True), AfterValidator(_file)]
Digest = Annotated[
    str, Field(strict=True, json_schema_extra={"pattern": f"^{_DIGEST.pattern}$"}), AfterValidator(_digest)
]


class CallerSection(Section):
    """One caller, known by a bearer token or by a certificate."""

    token_file: File | None = Field(
        default=None, description="File with a bearer token; one that is replaced holds within a second."
    )
    token_sha256: Digest | None = Field(
        default=None, description="SHA-256 of a long random bearer token, as 64 lower-case hexadecimal digits."
    )
    certificate: Client | None = Field(
        default=None,
        description="A subject alternative name of the client's certificate, or CN= and its common name, letter for "
        "letter. Needs tls.http.clients.",
    )
    namespaces: tuple[Namespace, ...] = Field(
        min_length=1, description='Namespaces whose pools it may announce work for; "*" is every one.'
    )

    @model_validator(mode="after")
    def _known_by_one(self) -> Self:
        if [self.token_file, self.token_sha256, self.certificate].count(None) != 2:  # noqa: PLR2004 - of three, one
            raise refusal("must have one of token_file, token_sha256 and certificate", "set one of the three")
        return self


class HintsSection(Section):
    """Announcements over HTTP. They live in this process: a restart forgets them, and callers announce again."""

    callers: dict[Name, CallerSection] = Field(
        default={}, description="Who may announce, by name; while it is empty nobody may."
    )
    longest: Annotated[Duration, Field(le=86_400)] = Field(
        default=3_600.0,
        description="Longest that one announcement stands, at most a day; a longer one is cut to it. A duration; a "
        "number is seconds.",
    )
    most: Annotated[int, Field(strict=True, ge=1, le=1_000)] = Field(
        default=32, description="Announcements that one caller may have standing at once, over all pools."
    )
