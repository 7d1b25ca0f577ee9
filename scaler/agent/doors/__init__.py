"""Ways to the gate: beside an ASGI application, an aiohttp application, or nothing at all."""
