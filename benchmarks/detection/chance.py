"""Random draws that NumPy does not provide."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

_SMALL_BIAS = 1.35


def log_uniform(chance: np.random.Generator, low: float, high: float) -> float:
    """Draw a number between the bounds from a log-uniform distribution."""
    return math.exp(chance.uniform(math.log(low), math.log(high)))


def multiple(chance: np.random.Generator, low: float, high: float) -> float:
    """Draw a multiple between the bounds on the log scale, where small multiples are more common."""
    return float(low * (high / low) ** (chance.random() ** _SMALL_BIAS))


def weighted(chance: np.random.Generator, weights: Mapping[str, float]) -> str:
    """Draw one of the names with a probability proportional to its weight."""
    shares = np.array(list(weights.values()), float)
    return list(weights)[int(chance.choice(len(shares), p=shares / shares.sum()))]
