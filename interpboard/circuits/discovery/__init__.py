"""Circuits: ``edge_scores`` over a ``graph``, ``search``, and ``faithfulness`` measured by ``edge_runs``."""
