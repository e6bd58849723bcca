"""Encoder–decoders (T5, BART and their kin): tokens in two strips, looked into by plain hooked forwards."""
