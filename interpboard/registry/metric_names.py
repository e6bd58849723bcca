"""The names a metric can have; ``interpboard.runs.metrics`` says what each is."""

METRICS = ("logit", "logit_diff", "prob", "logprob", "kl", "rank")
