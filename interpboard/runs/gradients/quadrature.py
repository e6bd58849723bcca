"""Rules for integrating over [0, 1]: points and weights. Weights always sum to 1."""

from __future__ import annotations

import numpy as np

from interpboard.errors import BadParameter

QUADRATURE_RULES = ("gauss_legendre", "trapezoid", "riemann_left", "riemann_right")


def quadrature(method: str, n_steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Points and weights, each [n_steps], in float64.

    ``gauss_legendre`` is exact for polynomials of degree 2n − 1 and never touches the ends, where a
    norm layer at zero embeddings is steepest. Raises ``BadParameter``.
    """
    if n_steps < 1 or (method == "trapezoid" and n_steps < 2):
        raise BadParameter(f"{n_steps} steps are too few for {method}.", "Use more n_steps.")
    if method == "gauss_legendre":
        nodes, weights = np.polynomial.legendre.leggauss(n_steps)
        return (nodes + 1) / 2, weights / 2
    if method == "riemann_left":
        return np.arange(n_steps) / n_steps, np.full(n_steps, 1 / n_steps)
    if method == "riemann_right":
        return np.arange(1, n_steps + 1) / n_steps, np.full(n_steps, 1 / n_steps)
    if method == "trapezoid":
        weights = np.full(n_steps, 1 / (n_steps - 1))
        weights[[0, -1]] /= 2
        return np.linspace(0, 1, n_steps), weights
    raise BadParameter(f"There is no quadrature {method!r}.", f"Use {', '.join(QUADRATURE_RULES)}.")
