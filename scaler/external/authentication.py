"""How KEDA's operator protects its connection to an external scaler, from a trigger and its TriggerAuthentication.

There is TLS if the metadata says ``enableTLS``, or the TriggerAuthentication has ``caCert``, or both ``tlsClientCert``
and ``tlsClientKey``; these three are PEM themselves, not paths, and in the metadata they mean nothing. ``unsafeSsl``
alone is plaintext. A scaler's certificate must be signed by an authority of the system or one of ``caCert``.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import grpc

TRUE: Final = {"1", "t", "T", "true", "TRUE", "True"}
FALSE: Final = {"", "0", "f", "F", "false", "FALSE", "False"}


def credentials(metadata: Mapping[str, str], parameters: Mapping[str, str]) -> grpc.ChannelCredentials | None:
    """What a trigger with this metadata and these parameters of its TriggerAuthentication connects with.

    Returns:
        None for plaintext.

    Raises:
        ValueError: a switch that is neither true nor false, or ``unsafeSsl`` with TLS, which gRPC for Python cannot do.
    """
    authorities = parameters.get("caCert", "")
    certificate, key = parameters.get("tlsClientCert", ""), parameters.get("tlsClientKey", "")
    presented = bool(certificate and key)
    unverified = _is_on("unsafeSsl", metadata)
    if not (_is_on("enableTLS", metadata) or presented or authorities):
        return None
    if unverified:
        raise ValueError("unsafeSsl = true: this client verifies every scaler; put the scaler's authority into caCert")
    return grpc.ssl_channel_credentials(
        root_certificates=_roots(authorities),
        private_key=key.encode() if presented else None,
        certificate_chain=certificate.encode() if presented else None,
    )


def _is_on(switch: str, metadata: Mapping[str, str]) -> bool:
    said = metadata.get(switch, "")
    if said not in TRUE | FALSE:
        raise ValueError(f"{switch} = {said!r}: must be true or false")
    return said in TRUE


def _roots(authorities: str) -> bytes:
    """The system's authorities and these."""
    system = ssl.get_default_verify_paths().cafile
    return (Path(system).read_bytes() if system else b"") + b"\n" + authorities.encode()
