"""Who asks: the client by its certificate, and whether it may ask for this namespace."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeAlias, TypeVar

import grpc
import grpc.aio
from google.protobuf.message import Message

from scaler.config.clients import Clients, MayAsk, Names, names
from scaler.external.desk import RefusedError
from scaler.external.proto import externalscaler_pb2 as pb

SAME_FOR_ALL: Final = {"GetMetricSpec", "StreamMetricSpec"}  # these cannot fail, and say nothing of any pool

Request = TypeVar("Request", bound=Message)
Response = TypeVar("Response", bound=Message)
Context: TypeAlias = "grpc.aio.ServicerContext[Request, Response]"


class Guard:
    """Keeps clients to the namespaces that the rules give them; no rules let all pass."""

    def __init__(self, rules: Callable[[], MayAsk | None]) -> None:
        self._clients = Clients(rules, "tls.keda.clients.may_ask")

    def admit(self, rpc: str, message: Message, context: Context[Request, Response]) -> None:
        """Let a request pass.

        Raises:
            RefusedError: PERMISSION_DENIED for a namespace that the client may not ask for.
        """
        if self._clients.are_free or rpc in SAME_FOR_ALL:
            return
        refusal = self._clients.refusal(_names(context), _namespace(message))
        if refusal is not None:
            raise RefusedError(grpc.StatusCode.PERMISSION_DENIED, refusal)


def _namespace(message: Message) -> str:
    """The namespace that a request asks for; none is one that no rule lists."""
    if isinstance(message, pb.GetMetricsRequest):
        return message.scaledObjectRef.namespace
    return message.namespace if isinstance(message, pb.ScaledObjectRef) else ""


def _names(context: Context[Request, Response]) -> Names:
    said = context.auth_context()
    common = next(_texts(said.get("x509_common_name", ())), None)
    return names(common, _texts(said.get("x509_subject_alternative_name", ())))


def _texts(values: Iterable[bytes]) -> Iterator[str]:
    return (value.decode(errors="replace") for value in values)
