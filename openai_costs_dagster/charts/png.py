"""Draws charts as PNG images for alert channels, which do not show SVG.

A chart has a bar for each day, the usual range behind the bars, and flagged days in orange. The image contains no text,
because the message of the alert contains the figures. A plotting library would be a large dependency for one chart, so
this module writes the PNG format itself.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_WIDTH, _HEIGHT, _MARGIN = 720, 220, 12  # in pixels
# RGB colors of the background, the usual range, usual days and flagged days
_WHITE, _RANGE, _BAR, _FLAGGED = (255, 255, 255), (219, 234, 254), (71, 85, 105), (234, 88, 12)


class Bar(NamedTuple):
    """The spend of a day with its usual range, in US dollars."""

    actual: float
    lower: float
    upper: float
    is_flagged: bool


def png(bars: Sequence[Bar]) -> bytes:
    """Return the chart of at least one day as a PNG file. The newest day is on the right."""
    image = np.full((_HEIGHT, _WIDTH, 3), _WHITE, np.uint8)
    highest = max(1e-9, *(bar.actual for bar in bars))
    # A wide usual range is cut at 1.6 times the highest bar, because the bars would otherwise be too low to compare.
    top = 1.05 * max(highest, min(1.6 * highest, max(bar.upper for bar in bars)))
    step = (_WIDTH - 2 * _MARGIN) / len(bars)
    for number, bar in enumerate(bars):
        left, right = round(_MARGIN + number * step), round(_MARGIN + (number + 1) * step)
        _fill(image, left, right, bar.lower / top, min(bar.upper / top, 1), _RANGE)
        gap = max(1, round(step / 5)) if step >= 3 else 0
        _fill(image, left, right - gap, 0, max(bar.actual, 0) / top, _FLAGGED if bar.is_flagged else _BAR)
    return _encode(image)


def _fill(
    image: NDArray[np.uint8], left: int, right: int, low: float, high: float, color: tuple[int, int, int]
) -> None:
    """Fill a rectangle of the image. `low` and `high` are shares of the chart's height, measured from its bottom."""
    height = _HEIGHT - 2 * _MARGIN
    first, last = (_HEIGHT - _MARGIN - round(height * share) for share in (high, low))
    image[first:last, left:right] = color


def _encode(image: NDArray[np.uint8]) -> bytes:
    """Return an image with 8 bits per color channel as a PNG file, without PNG filters.

    Source: the PNG specification.
    """
    height, width, _ = image.shape
    # In the PNG format, each row of pixels begins with the number of its filter, and 0 means no filter.
    rows = b"".join(b"\0" + row.tobytes() for row in image)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
