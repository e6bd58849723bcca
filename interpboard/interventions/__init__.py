"""What a person holds against the model: its ``grammar``, ``what_if``, ``steering`` by ``vectors``."""
