"""Draws charts as SVG images: daily spend as a line with its expected range, or as bars.

The SVG is written without a library. A chart is small enough for the metadata of a Dagster check.
"""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple
from xml.sax.saxutils import escape

from openai_costs_dagster.display_text import printable

_WIDTH, _HEIGHT = 720, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 16, 30, 28
_LINES = 4  # the number of horizontal grid lines above the bottom line
_MIN_HEIGHT = 1e-9  # in US dollars; without this minimum, an axis of zero amounts would have the height zero
_HEAD = (
    f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" '
    f'height="{_HEIGHT}" font-family="sans-serif" font-size="11">'
)


@dataclass(frozen=True)
class Point:
    """The spend of a UTC day with its expected range, in US dollars."""

    day: dt.date
    actual: float
    expected: float
    lower: float
    upper: float


def svg(title: str, points: Sequence[Point], flagged: set[dt.date]) -> str:
    """Return the line chart of at least one point as an SVG document, with a dot on each day in `flagged`."""
    # A wide usual range is cut at 1.6 times the highest amount, because the line would otherwise be too flat to read.
    highest = max(0.0, *(max(point.actual, point.expected) for point in points))
    top = max(highest, min(1.6 * highest, max(point.upper for point in points))) * 1.05
    scale = _Scale(len(points), min(point.actual for point in points), top)
    band = [scale.at(number, min(point.upper, top)) for number, point in enumerate(points)]
    band += [scale.at(number, point.lower) for number, point in reversed(list(enumerate(points)))]
    expected = [scale.at(number, min(point.expected, top)) for number, point in enumerate(points)]
    actual = [scale.at(number, point.actual) for number, point in enumerate(points)]
    dots = [
        f'<circle cx="{x}" cy="{y}" r="4.5" fill="#c2410c"/>'
        for (x, y), point in zip(actual, points, strict=True)
        if point.day in flagged
    ]
    return "".join(
        [
            *_frame(title),
            *_axis(scale, [point.day for point in points]),
            f'<polygon points="{_points(band)}" fill="#bfdbfe" fill-opacity="0.6"/>',
            f'<polyline points="{_points(expected)}" fill="none" stroke="#60a5fa" stroke-dasharray="4 3"/>',
            f'<polyline points="{_points(actual)}" fill="none" stroke="#1f2937" stroke-width="1.8"/>',
            *dots,
            "</svg>",
        ]
    )


class Bar(NamedTuple):
    """The spend of a UTC day in US dollars."""

    day: dt.date
    dollars: float


def bars_svg(title: str, bars: Sequence[Bar]) -> str:
    """Return the bar chart of at least one day as an SVG document."""
    amounts = [bar.dollars for bar in bars]
    scale = _Scale(len(bars), min(amounts), max(0.0, *amounts) * 1.05)
    width = (_WIDTH - _LEFT - _RIGHT) / len(bars) * 0.8
    drawn = []
    for number, bar in enumerate(bars):
        (x, y), (_, zero) = scale.at(number, bar.dollars), scale.at(number, 0)
        left = min(max(x - width / 2, _LEFT), _WIDTH - _RIGHT - width)
        upper, height = min(y, zero), abs(zero - y)
        drawn.append(f'<rect x="{left:.1f}" y="{upper}" width="{width:.1f}" height="{height:.1f}" fill="#3b6fb5"/>')
    return "".join([*_frame(title), *_axis(scale, [bar.day for bar in bars]), *drawn, "</svg>"])


def markdown(title: str, points: Sequence[Point], flagged: set[dt.date]) -> str:
    """Return the line chart as a Markdown image that contains the SVG document."""
    return _embed_in_markdown(svg(title, points, flagged))


def bars_markdown(title: str, bars: Sequence[Bar]) -> str:
    """Return the bar chart as a Markdown image that contains the SVG document."""
    return _embed_in_markdown(bars_svg(title, bars))


def _embed_in_markdown(document: str) -> str:
    return f"![spend by day](data:image/svg+xml;base64,{base64.b64encode(document.encode()).decode()})"


def _frame(title: str) -> list[str]:
    return [
        _HEAD,
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>',
        f'<text x="{_LEFT}" y="18" font-size="13" fill="#111827">{escape(printable(title))}</text>',
    ]


class _Scale:
    """Converts amounts to coordinates.

    The vertical axis reaches from `top` down to zero, or to the lowest amount if a day has a negative amount.
    """

    def __init__(self, count: int, lowest: float, top: float) -> None:
        # Zero is always on the axis, because bars that begin at another amount would suggest wrong ratios.
        self.low = min(lowest * 1.05, 0.0)
        self.top = top if top - self.low > _MIN_HEIGHT else 1.0
        self._step = (_WIDTH - _LEFT - _RIGHT) / max(count - 1, 1)
        self._scale = (_HEIGHT - _TOP - _BOTTOM) / (self.top - self.low)

    def at(self, number: int, value: float) -> tuple[float, float]:
        x, y = _LEFT + number * self._step, _HEIGHT - _BOTTOM - (max(value, self.low) - self.low) * self._scale
        return round(x, 1), round(y, 1)


def _axis(scale: _Scale, days: Sequence[dt.date]) -> list[str]:
    drawn = []
    for number in range(_LINES + 1):
        value = scale.low + (scale.top - scale.low) * number / _LINES
        _, y = scale.at(0, value)
        drawn.append(f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y}" y2="{y}" stroke="#e5e7eb"/>')
        drawn.append(f'<text x="{_LEFT - 6}" y="{y + 4}" text-anchor="end" fill="#6b7280">{_short(value)}</text>')
    for number in (0, len(days) // 2, len(days) - 1):
        x, _ = scale.at(number, 0)
        anchor = "start" if number == 0 else "end" if number == len(days) - 1 else "middle"
        day = days[number].isoformat()
        drawn.append(f'<text x="{x}" y="{_HEIGHT - 9}" text-anchor="{anchor}" fill="#6b7280">{day}</text>')
    return drawn


def _short(value: float) -> str:
    sign, size = "-" if value < 0 else "", abs(value)
    if size >= 10_000:
        return f"{sign}${size / 1000:,.0f}k"
    return f"{sign}${size:,.0f}" if size >= 10 or not size else f"{sign}${size:.2f}"


def _points(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x},{y}" for x, y in points)
