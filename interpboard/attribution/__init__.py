"""Which input tokens made the model say this: ``integrated_gradients``."""
