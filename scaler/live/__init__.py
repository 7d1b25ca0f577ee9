"""The live world: pools ticked on input that is read now, and what came of it."""
