"""A PNG of a series' last days for channels that show pictures; drawn here, for no channel shows SVG.

Bars by day, the usual range behind them, days that stand out in orange. Without text: the message says the figures.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_WIDTH, _HEIGHT, _MARGIN = 720, 220, 12
_WHITE, _RANGE, _BAR, _ALARM = (255, 255, 255), (219, 234, 254), (71, 85, 105), (234, 88, 12)


class Bar(NamedTuple):
    """A day's spend and its usual range; US dollars."""

    actual: float
    lower: float
    upper: float
    is_flagged: bool


def png(bars: Sequence[Bar]) -> bytes:
    """The picture, newest day right. Needs at least one bar."""
    image = np.full((_HEIGHT, _WIDTH, 3), _WHITE, np.uint8)
    highest = max(1e-9, *(bar.actual for bar in bars))
    top = 1.05 * max(highest, min(1.6 * highest, max(bar.upper for bar in bars)))
    step = (_WIDTH - 2 * _MARGIN) / len(bars)
    for number, bar in enumerate(bars):
        left, right = round(_MARGIN + number * step), round(_MARGIN + (number + 1) * step)
        _fill(image, left, right, bar.lower / top, min(bar.upper / top, 1), _RANGE)
        gap = max(1, round(step / 5)) if step >= 3 else 0
        _fill(image, left, right - gap, 0, max(bar.actual, 0) / top, _ALARM if bar.is_flagged else _BAR)
    return _encoded(image)


def _fill(
    image: NDArray[np.uint8], left: int, right: int, low: float, high: float, color: tuple[int, int, int]
) -> None:
    height = _HEIGHT - 2 * _MARGIN
    first, last = (_HEIGHT - _MARGIN - round(height * share) for share in (high, low))
    image[first:last, left:right] = color


def _encoded(image: NDArray[np.uint8]) -> bytes:
    """Eight bits of red, green and blue, no filter. Source: the PNG specification."""
    height, width, _ = image.shape
    rows = b"".join(b"\0" + row.tobytes() for row in image)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in parts)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
