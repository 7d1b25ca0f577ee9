"""The decision. Pure: no I/O, clock, randomness, logging or asyncio; the standard library and numpy."""
