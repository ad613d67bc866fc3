"""Draws that numpy has no name for."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

_SMALL_ONES_MORE_OFTEN = 1.35


def log_uniform(chance: np.random.Generator, low: float, high: float) -> float:
    """Between the bounds, every order of magnitude alike."""
    return math.exp(chance.uniform(math.log(low), math.log(high)))


def multiple(chance: np.random.Generator, low: float, high: float) -> float:
    """Between the bounds on a log scale, small ones somewhat more often, for small ones are the hard ones."""
    return float(low * (high / low) ** (chance.random() ** _SMALL_ONES_MORE_OFTEN))


def weighted(chance: np.random.Generator, weights: Mapping[str, float]) -> str:
    """One of the names, as often as its weight says."""
    shares = np.array(list(weights.values()), float)
    return list(weights)[int(chance.choice(len(shares), p=shares / shares.sum()))]
