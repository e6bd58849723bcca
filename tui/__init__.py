"""The terminal app. It talks to the engine only through ``interpboard.engine.client``."""
