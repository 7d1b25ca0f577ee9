"""TLS for the pages."""

from __future__ import annotations

import ssl

from scaler.live.certificates import Certificates


class NewestContext(ssl.SSLContext):
    """Hands each new connection to the context of the pair in force. Connections that are open stay as they are.

    A context that is changed in place would let clients resume sessions with an authority that is no longer trusted.
    """

    certificates: Certificates

    @classmethod
    def following(cls, certificates: Certificates) -> NewestContext:
        """A context that goes with the certificates."""
        context = cls(ssl.PROTOCOL_TLS_SERVER)
        context.certificates = certificates
        return context

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,  # noqa: FBT002 - the signature is the parent's
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """Begin a connection, which asyncio does with this method."""
        newest = self.certificates.pair.context
        return newest.wrap_bio(incoming, outgoing, server_side, server_hostname, session)
