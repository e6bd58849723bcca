"""Circuits of models that look both ways: each receiver's stream is carried along, norms and all."""
