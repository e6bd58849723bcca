"""The names a metric can have; ``interpboard.runs.metrics`` says what each is."""

METRICS = ("logit", "logit_diff", "prob", "logprob", "kl", "rank")
VALUE = "value"  # of models that give one: regression, rewards
COSINE = "cosine"  # of a sentence encoder: similarity to a second text, which is the target
EVERY_METRIC = (*METRICS, VALUE, COSINE)
