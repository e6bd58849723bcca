"""The app's state, who owns it, and what the engine's events make of it."""
