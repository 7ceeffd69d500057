"""A plot of time over size, both logarithmic, as SVG text."""
import math
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 760, 460
LEFT, RIGHT, TOP, BOTTOM = 70, 150, 40, 50
COLOURS = ["#0b6e4f", "#2a9d8f", "#c8553d", "#7d5ba6", "#e9a23b", "#3d5a80", "#999999"]


def svg(title, curves, size_name):
    """curves: {name: [(bytes, microseconds), ...]}. Points that are not positive have no place here: left out."""
    curves = {name: [(x, y) for x, y in points if x > 0 and y > 0] for name, points in curves.items()}
    curves = {name: points for name, points in curves.items() if points}
    points = [point for curve in curves.values() for point in curve]
    if not points:
        return '<svg xmlns="http://www.w3.org/2000/svg"/>\n'
    low_x, high_x = math.log2(min(x for x, _ in points)), math.log2(max(x for x, _ in points))
    low_y = math.floor(math.log10(min(y for _, y in points)))
    high_y = max(math.ceil(math.log10(max(y for _, y in points))), low_y + 1)

    def place(x, y):
        across = (math.log2(x) - low_x) / (high_x - low_x) if high_x > low_x else 0.5
        up = (math.log10(y) - low_y) / (high_y - low_y)
        return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)

    parts = ['<svg xmlns="http://www.w3.org/2000/svg" '
             f'viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
             f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
             f'<text x="{LEFT}" y="24" font-size="15">{escape(title)}: median time (us)</text>']
    for power in range(low_y, high_y + 1):
        _, y = place(2 ** low_x, 10.0 ** power)
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{10.0 ** power:g}</text>')
    sizes = sorted({x for x, _ in points})
    for size in sizes[::max(1, math.ceil(len(sizes) / 8))]:
        x, _ = place(size, 10.0 ** low_y)
        label = escape(size_name(size))
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{label}</text>')
    for index, (name, curve) in enumerate(curves.items()):
        colour = COLOURS[index % len(COLOURS)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in curve))
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        y = TOP + 12 + 18 * index
        x = WIDTH - RIGHT + 12
        parts.append(f'<line x1="{x}" x2="{x + 22}" y1="{y}" y2="{y}" stroke="{colour}" stroke-width="3"/>')
        parts.append(f'<text x="{x + 28}" y="{y + 4}">{escape(name)}</text>')
    parts.append("</svg>")
    return "\n".join(parts) + "\n"
