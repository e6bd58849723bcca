"""What the parts of a model do: ``logit_lens``, ``head_ablation``."""
