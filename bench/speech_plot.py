"""The reliability plot of docs/recognition-quality.md, as an SVG that needs no library.

For each engine, how often results of about one confidence are right: on the diagonal a confidence
is what it says. Neighbouring results are put together, twelve points a curve at most.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

SIZE, LEFT, TOP = 360, 52, 16
COLOURS = ("#1f5fa8", "#c2571a", "#2e7d4f", "#7a4fa0", "#6b6b6b")
POINTS = 12


def points(results: Sequence[tuple[float, bool]]) -> list[tuple[float, float, int]]:
    """(mean confidence, part that is right, how many) of equally many neighbouring results."""
    ordered = sorted(results)
    size = max(1, -(-len(ordered) // POINTS))
    found = []
    for first in range(0, len(ordered), size):
        some = ordered[first : first + size]
        right = sum(verdict for _, verdict in some) / len(some)
        found.append((sum(confidence for confidence, _ in some) / len(some), right, len(some)))
    return found


def reliability(curves: Mapping[str, Sequence[tuple[float, bool]]]) -> str:
    """The plot of (confidence, is right) by name."""
    height = TOP + SIZE + 44 + 18 * len(curves)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + SIZE + 16} {height}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="100%" height="{height}" fill="white"/>',
    ]
    for step in range(6):
        value = step / 5
        x, y = LEFT + SIZE * value, TOP + SIZE * (1 - value)
        parts.append(
            f'<path d="M{LEFT},{y:.1f}h{SIZE}M{x:.1f},{TOP}v{SIZE}" stroke="#ddd" fill="none"/>'
            f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:.1f}</text>'
            f'<text x="{x:.1f}" y="{TOP + SIZE + 16}" text-anchor="middle">{value:.1f}</text>'
        )
    parts.append(
        f'<path d="M{LEFT},{TOP + SIZE}l{SIZE},-{SIZE}" stroke="#999" stroke-dasharray="4 4"/>'
        f'<text x="{LEFT + SIZE / 2}" y="{TOP + SIZE + 34}" text-anchor="middle">confidence</text>'
        f'<text transform="translate(14 {TOP + SIZE / 2}) rotate(-90)" text-anchor="middle">'
        "part that is right</text>"
    )
    for index, (name, results) in enumerate(curves.items()):
        colour = COLOURS[index % len(COLOURS)]
        places = [
            (LEFT + SIZE * confidence, TOP + SIZE * (1 - right))
            for confidence, right, _ in points(results)
        ]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        y = TOP + SIZE + 56 + 18 * index
        parts.append(
            f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
        )
        parts.extend(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places
        )
        parts.append(
            f'<path d="M{LEFT},{y - 4}h18" stroke="{colour}" stroke-width="3"/>'
            f'<text x="{LEFT + 26}" y="{y}">{escape(name)} ({len(results)} results)</text>'
        )
    return "\n".join([*parts, "</svg>", ""])
