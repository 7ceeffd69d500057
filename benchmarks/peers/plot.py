"""A plot of time over size, both logarithmic, as SVG text."""
import math
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 900, 560
LEFT, RIGHT, TOP, BOTTOM = 70, 150, 44, 46
EMPHASISED = ["#0b6e4f", "#e4572e"]
COLOURS = ["#3d5a80", "#7d5ba6", "#5fa8d3", "#b5838d", "#e9a23b", "#8d99ae"]
LABEL_GAP = 16


class Frame:
    """Where a size and a time lie in the picture."""

    def __init__(self, points):
        self.low_x, self.high_x = math.log2(min(x for x, _ in points)), math.log2(max(x for x, _ in points))
        self.low_y = math.floor(math.log10(min(y for _, y in points)))
        self.high_y = max(math.ceil(math.log10(max(y for _, y in points))), self.low_y + 1)

    def x(self, size):
        across = (math.log2(size) - self.low_x) / (self.high_x - self.low_x) if self.high_x > self.low_x else 0.5
        return LEFT + across * (WIDTH - LEFT - RIGHT)

    def y(self, time):
        up = (math.log10(time) - self.low_y) / (self.high_y - self.low_y)
        return HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)


def grid(frame, sizes, size_name):
    parts = []
    for power in range(frame.low_y, frame.high_y + 1):
        for digit in range(1, 10 if power < frame.high_y else 2):
            y = frame.y(digit * 10.0 ** power)
            stroke = "#ccc" if digit == 1 else "#f0f0f0"
            parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="{stroke}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{frame.y(10.0 ** power) + 4:.1f}" text-anchor="end">'
                     f'{10.0 ** power:,g}</text>')
    for index, size in enumerate(sizes):
        x = frame.x(size)
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}" stroke="#f0f0f0"/>')
        if index % max(1, math.ceil(len(sizes) / 14)) == 0:
            parts.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">'
                         f'{escape(size_name(size))}</text>')
    return parts


def label_heights(frame, curves):
    """Beside each curve's end, as near to it as its neighbours allow: {name: y}"""
    heights = {}
    last = TOP - LABEL_GAP
    for name, curve in sorted(curves.items(), key=lambda item: frame.y(item[1][-1][1])):
        last = max(frame.y(curve[-1][1]), last + LABEL_GAP)
        heights[name] = last
    overflow = max(0.0, last - (HEIGHT - BOTTOM)) if heights else 0.0
    return {name: y - overflow for name, y in heights.items()}


def svg(title, curves, size_name, emphasised=(), dashed=()):
    """curves: {name: [(bytes, microseconds), ...]}. Points that are not positive have no place here: left out."""
    curves = {name: [(x, y) for x, y in points if x > 0 and y > 0] for name, points in curves.items()}
    curves = {name: points for name, points in curves.items() if points}
    points = [point for curve in curves.values() for point in curve]
    if not points:
        return '<svg xmlns="http://www.w3.org/2000/svg"/>\n'
    frame = Frame(points)
    parts = ['<svg xmlns="http://www.w3.org/2000/svg" '
             f'viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
             f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
             f'<text x="{LEFT}" y="24" font-size="15">{escape(title)}: time (us)</text>',
             *grid(frame, sorted({x for x, _ in points}), size_name)]
    heights = label_heights(frame, curves)
    strong, weak = iter(EMPHASISED * 4), iter(COLOURS * 4)
    for name, curve in curves.items():
        colour = next(strong) if name in emphasised else "#222" if name in dashed else next(weak)
        width = 3 if name in emphasised else 1.5
        dash = ' stroke-dasharray="5 4"' if name in dashed else ""
        path = " ".join(f"{frame.x(x):.1f},{frame.y(y):.1f}" for x, y in curve)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}"{dash}/>')
        x, y = frame.x(curve[-1][0]), frame.y(curve[-1][1])
        parts.append(f'<line x1="{x:.1f}" x2="{WIDTH - RIGHT + 14}" y1="{y:.1f}" y2="{heights[name]:.1f}" '
                     f'stroke="{colour}" stroke-width="0.7"/>')
        parts.append(f'<text x="{WIDTH - RIGHT + 18}" y="{heights[name] + 4:.1f}" fill="{colour}">{escape(name)}</text>')
    parts.append("</svg>")
    return "\n".join(parts) + "\n"
