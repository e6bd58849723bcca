"""Runs: prompts, metrics, the clean run and what was recorded of it, and counterfactuals on it."""
