"""TLS at the two doors, as the file sets it. The files are mounted Secrets, and are followed as they rotate."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import AfterValidator, Field

from scaler.config.clients import COMMON, EVERY, OWN
from scaler.config.fields import refusal
from scaler.config.knobs import Section
from scaler.config.names import is_namespace

LONGEST: Final = 512  # characters of a client's name
STARS: Final = 4  # in one name: each more would make a long name costlier to compare


def _path(text: str) -> str:
    if not text.startswith("/") or "\0" in text:
        raise refusal("must be the absolute path of a PEM file", "write where the Secret is mounted, from / on")
    return text


def _client(text: str) -> str:
    if not text.removeprefix(COMMON) or len(text) > LONGEST or text.count("*") > STARS:
        raise refusal(
            f"must be a subject alternative name or CN=NAME, of at most {LONGEST} characters and {STARS} stars",
            "copy the name from the certificate: openssl x509 -noout -subject -ext subjectAltName",
        )
    return text


def _namespace(text: str) -> str:
    if text not in {EVERY, OWN} and not is_namespace(text):
        raise refusal(
            f'must be a namespace, or "{EVERY}" for every one, or "{OWN}" for the one in the client\'s name',
            "name the namespace as Kubernetes does",
        )
    return text


def _may_ask(rules: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    for client, namespaces in rules.items():
        if OWN in namespaces and OWN not in client:
            raise refusal(
                f"{client} has no {OWN} in it that its namespaces could take",
                "write the namespaces, or the place of the namespace in the client's name",
            )
    return rules


Pem = Annotated[str, Field(strict=True, json_schema_extra={"examples": ["/tls/keda/tls.crt"]}), AfterValidator(_path)]
Client = Annotated[str, Field(strict=True), AfterValidator(_client)]
Namespace = Annotated[str, Field(strict=True), AfterValidator(_namespace)]
Rules = Annotated[dict[Client, Annotated[tuple[Namespace, ...], Field(min_length=1)]], AfterValidator(_may_ask)]


class ClientsSection(Section):
    """Clients that are known by a certificate."""

    ca: Pem = Field(description="The authorities that sign clients' certificates, as one PEM file.")
    may_ask: Rules | None = Field(
        default=None,
        description="Which client may ask for which namespaces, by a subject alternative name of its certificate or by "
        "CN= and its common name. In a client's name * stands for characters within a segment (between slashes in a "
        "URI, between dots elsewhere) and {namespace} for a namespace; among the namespaces * is every one. null lets "
        "every client that ca has signed ask for every namespace.",
    )


class DoorSection(Section):
    """One door's certificate. Other paths wait for a restart; what is in the files is followed as it changes."""

    certificate: Pem = Field(description="The server's certificate and those between it and its authority, as PEM.")
    key: Pem = Field(description="Its private key, as PEM without a password.")
    clients: ClientsSection | None = Field(
        default=None,
        description="How clients are known: KEDA's door lets nobody in without a certificate, the pages show only "
        "their health to such; null asks nobody for one.",
    )


class TlsSection(Section):
    """Both doors. null is plaintext."""

    keda: DoorSection | None = Field(default=None, description="Where KEDA calls.")
    http: DoorSection | None = Field(default=None, description="Where health, metrics and the API are.")
