"""The edited run: what the interventions do."""
