"""Interventions: their ``grammar``, ``what_if``, ``steering`` by ``vectors``."""
