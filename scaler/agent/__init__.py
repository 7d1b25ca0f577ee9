"""What runs beside the agent, in the agent's image: its intake gate. Needs the standard library and ``cryptography``.

    from scaler.agent import Gate, GateClosedError, Place, serve

``docs/gate.md`` shows it for web servers, consumers of queues, any HTTP agent, and in other languages.
"""

from __future__ import annotations

from scaler.agent.book import GateClosedError
from scaler.agent.doors.alone import serve
from scaler.agent.gate import Gate
from scaler.agent.handles import Claim, Session, Task
from scaler.agent.leaving import finish_on_sigterm
from scaler.agent.place import Place

__all__ = ["Claim", "Gate", "GateClosedError", "Place", "Session", "Task", "finish_on_sigterm", "serve"]
