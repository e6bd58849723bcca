"""What parts of the model write straight into the answer: ``attribution``, along the affine ``path``."""
