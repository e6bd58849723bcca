"""Several choices of one text compared, by a model of multiple choice."""
