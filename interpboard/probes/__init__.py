"""Linear probes: what can be read from activations by a linear map, held out, beside what chance would read.

A probe says that something *can* be read at a place, not that the model reads it there: for that, steer with
its direction. What would make a number wrong without a word (labels that follow length, texts on both sides
of a split, fewer rows than dimensions) is looked at and said.
"""
