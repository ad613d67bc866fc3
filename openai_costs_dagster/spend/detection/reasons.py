"""What the detector's short reasons mean, in words."""

from __future__ import annotations

_WORDS = {
    "": "within its range",
    "above": "above its range",
    "below": "below its range",
    "continues": "the event of the days before goes on",
    "seldom": "spends seldom, and more in these days than in any before",
    "new": "too young for a range of its own, and the total that it belongs to jumped, or it multiplied",
    "young": "too young to be judged",
    "migration": "others of its project changed as much the other way",
    "recovery": "back at an earlier level",
    "told": "the level that a finding of the last weeks announced",
    "noticed": "unusual, and too small to be worth anyone's time",
    "excused": "out of its range on a holiday, a month's end, or a day on which most of the organization rested",
    "expected": "said to be expected",
}


def words(reason: str) -> str:
    """A reason for people; some days together against the level before them are counted."""
    if reason.endswith(" days"):
        return f"{reason} together differ from the level before them"
    return _WORDS.get(reason, reason)
