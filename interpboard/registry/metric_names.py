"""The names a metric can have; ``interpboard.runs.metrics`` says what each is."""

METRICS = ("logit", "logit_diff", "prob", "logprob", "kl", "rank")
VALUE = "value"  # of models that give one: regression, rewards
EVERY_METRIC = (*METRICS, VALUE)
