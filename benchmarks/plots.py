"""Plots of growth curves, as SVG: cost over size, both axes logarithmic, with the fitted exponent."""

from collections.abc import Sequence
from html import escape
from math import ceil, floor, log10
from pathlib import Path

from benchmarks.measuring import Curve

FOLDER = Path(__file__).with_name("plots")
_WIDTH, _HEIGHT = 640, 400
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 20, 56, 52
_OURS, _FLOOR = "#1b5faa", "#8a8a8a"


def write_plots(curves: Sequence[Curve]) -> None:
    """Write a file for each curve into ``benchmarks/plots``, in place of the one that is there."""
    FOLDER.mkdir(exist_ok=True)
    for curve in curves:
        (FOLDER / f"{curve.name}.svg").write_text(svg(curve), encoding="utf-8")


def svg(curve: Curve) -> str:
    """The plot of one curve."""
    sides = [("bridge", _OURS, curve.ours), (curve.beside, _FLOOR, curve.floor)]
    costs = [max(cost, 1e-3) for _, _, series in sides for cost in series]
    first, last = log10(min(curve.sizes)), log10(max(curve.sizes))
    low, high = floor(log10(min(costs))), ceil(log10(max(costs)))
    high = max(high, low + 1)

    def x(size: float) -> float:
        return _LEFT + (log10(size) - first) / (last - first) * (_WIDTH - _LEFT - _RIGHT)

    def y(cost: float) -> float:
        return _HEIGHT - _BOTTOM - (log10(max(cost, 1e-3)) - low) / (high - low) * (_HEIGHT - _TOP - _BOTTOM)

    box = f'viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" font-size="12"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {box}>',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>',
        _text(_LEFT, 22, f"{curve.about}: exponent {curve.exponent:.2f}", size=15),
    ]
    for number, (label, colour, _) in enumerate(sides):
        at = _LEFT + number * 150
        parts.append(f'<rect x="{at}" y="34" width="12" height="12" fill="{colour}"/>')
        parts.append(_text(at + 17, 44, label))
    for power in range(low, high + 1):
        level = y(10.0**power)
        line = f'x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{level:.1f}" y2="{level:.1f}"'
        parts.append(f'<line {line} stroke="#dddddd"/>')
        parts.append(_text(_LEFT - 6, level + 4, f"{10.0**power:g} {curve.unit}", anchor="end"))
    below = _HEIGHT - _BOTTOM + 18
    parts += [_text(x(size), below, f"{size:,}", anchor="middle") for size in curve.sizes]
    parts.append(_text((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 12, curve.quantity, anchor="middle"))
    for _, colour, series in sides:
        points = [(x(size), y(cost)) for size, cost in zip(curve.sizes, series, strict=True)]
        path = " ".join(f"{at:.1f},{level:.1f}" for at, level in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{at:.1f}" cy="{level:.1f}" r="3.5" fill="{colour}"/>' for at, level in points]
    return "\n".join([*parts, "</svg>", ""])


def _text(x: float, y: float, text: str, *, anchor: str = "start", size: int = 12) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}">{escape(text)}</text>'
