"""The charts of the page, as inline SVG in percent coordinates, so that they fill any width without distortion.

Every chart stands beside the numbers it shows and is hidden from screen readers; colours come from the style sheet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from kb.evaluate.stats import Interval

STEPS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.5)
"""Distances between ticks; the first that gives at most six is taken."""


@dataclass(frozen=True)
class Axis:
    """A linear axis from `low` to `high`, in the unit of the data."""

    low: float
    high: float

    def at(self, value: float) -> str:
        """Where a value lies, as `12.34%` of the width; values outside lie on the edge."""
        share = (value - self.low) / (self.high - self.low)
        return f"{100 * min(1.0, max(0.0, share)):.2f}%"

    def ticks(self) -> list[float]:
        """Round values inside the axis, zero among them if it is inside."""
        step = next((step for step in STEPS if (self.high - self.low) / step <= 6), 0.5)
        first, last = round(self.low / step + 0.499), round(self.high / step - 0.499)
        return [number * step for number in range(first, last + 1)]


SHARES = Axis(0.0, 1.0)


def difference_axis(intervals: Sequence[Interval], reach: float) -> Axis:
    """An axis that holds zero, all intervals and plus and minus `reach`, with a little air."""
    low = min([-reach, *(interval.low for interval in intervals)])
    high = max([reach, *(interval.high for interval in intervals)])
    air = 0.04 * (high - low)
    return Axis(low - air, high + air)


def interval_bar(interval: Interval) -> str:
    """A share as a bar from 0 on a track to 1, with its interval."""
    low, value, high = (SHARES.at(one) for one in (interval.low, interval.value, interval.high))
    bar = "".join(
        f'<rect class="{name}" x="0" y="5" width="{width}" height="10"/>'
        for name, width in (("track", "100%"), ("fill", value))
    )
    ends = "".join(f'<line class="range" x1="{x}" x2="{x}" y1="6" y2="14"/>' for x in (low, high))
    return _svg(f'{bar}<line class="range" x1="{low}" x2="{high}" y1="10" y2="10"/>{ends}')


def forest_row(interval: Interval, detectable: float, axis: Axis) -> str:
    """A difference with its interval, over the band of differences too small to be detected."""
    left, right = axis.at(-detectable), axis.at(detectable)
    band = f'<rect class="band" x="{left}" y="0" width="{_minus(right, left)}" height="20"/>'
    zero = f'<line class="zero" x1="{axis.at(0)}" x2="{axis.at(0)}" y1="0" y2="20"/>'
    return _svg(band + zero + _interval(axis, interval))


def axis_row(axis: Axis) -> str:
    """The ticks of a forest plot, in points."""
    labels = ((axis.at(tick), f"{100 * tick:+.0f}".replace("-", "−")) for tick in axis.ticks())
    texts = (
        f'<text x="{x}" y="13" text-anchor="middle">{"0" if label in ("+0", "−0") else label}</text>'
        for x, label in labels
    )
    return _svg("".join(texts))


def dumbbell(before: float, after: float) -> str:
    """Two shares on one track: hollow before, filled after."""
    ends = f'x1="{SHARES.at(before)}" x2="{SHARES.at(after)}" y1="10" y2="10"'
    return _svg(
        f'{_track()}<line class="range" {ends}/><circle class="hollow" cx="{SHARES.at(before)}" cy="10" r="4"/>'
        f'<circle class="point" cx="{SHARES.at(after)}" cy="10" r="4"/>'
    )


def stacked_bar(shares: Sequence[tuple[str, float]], whole: float = 1.0) -> str:
    """Parts side by side, each with the class of its verdict; `whole` is the value that fills the width."""
    parts, start = [], 0.0
    for name, share in shares:
        if share > 0:
            x, width = f"{100 * start / whole:.2f}%", f"{100 * share / whole:.2f}%"
            parts.append(f'<rect class="{name}" x="{x}" y="4" width="{width}" height="12"/>')
        start += share
    return _svg("".join(parts))


def heat_map(rows: Sequence[Sequence[float | None]], groups: Sequence[int]) -> str:
    """Shares as shades: a row per arm, a column per fact; `groups` are the sizes of the blocks of columns, set apart.

    Neighbours of equal shade are one rectangle, and a shade of a row one path, so that the page stays small.
    """
    columns = sum(groups)
    gap = columns / 120 if len(groups) > 1 else 0.0
    offsets = [gap * block for block, size in enumerate(groups) for _ in range(size)]
    width, height = columns + gap * (len(groups) - 1), len(rows)
    cells = []
    for y, row in enumerate(rows):
        start = 0
        shades: dict[str, list[str]] = {}
        for (share, offset), run in groupby(zip(row, offsets, strict=True)):
            length = len(list(run))
            x = f"{start + offset:.3f}".rstrip("0").rstrip(".")
            shade = "none" if share is None else f"s{round(10 * share)}"
            shades.setdefault(shade, []).append(f"M{x} {y}.06h{length}v.88h-{length}z")
            start += length
        cells += [f'<path class="{shade}" d="{"".join(shapes)}"/>' for shade, shapes in shades.items()]
    return (
        f'<svg class="heat" viewBox="0 0 {width:.3f} {height}" preserveAspectRatio="none" aria-hidden="true"'
        f' style="height:{26 * height}px" data-gap="{gap:.4f}" data-groups="{",".join(map(str, groups))}">'
        f"{''.join(cells)}</svg>"
    )


def _svg(content: str) -> str:
    return f'<svg class="chart" height="20" aria-hidden="true" focusable="false">{content}</svg>'


def _track() -> str:
    ticks = "".join(f'<line class="tick" x1="{x}%" x2="{x}%" y1="6" y2="14"/>' for x in (0, 50, 100))
    return f'<line class="track" x1="0" x2="100%" y1="10" y2="10"/>{ticks}'


def _interval(axis: Axis, interval: Interval) -> str:
    ends = f'x1="{axis.at(interval.low)}" x2="{axis.at(interval.high)}" y1="10" y2="10"'
    return f'<line class="range" {ends}/><circle class="point" cx="{axis.at(interval.value)}" cy="10" r="4"/>'


def _minus(right: str, left: str) -> str:
    return f"{float(right[:-1]) - float(left[:-1]):.2f}%"
