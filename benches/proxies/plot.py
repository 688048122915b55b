"""Plots as SVG, written by hand: bars for what is compared, curves for growth."""

from xml.sax.saxutils import escape

WIDTH = 720
INK, GRID, OURS, OTHER = "#333", "#ddd", "#1f6feb", "#9aa4af"
CURVES = ["#1f6feb", "#d1242f", "#1a7f37", "#9a6700", "#8250df", "#bf3989"]
FONT = 'font-family="sans-serif" font-size="13"'


def text(x, y, words, anchor="start", colour=INK):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}" {FONT}>{escape(words)}</text>'


def svg(height, parts):
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}">'
    return head + f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>' + "".join(parts) + "</svg>\n"


def bars(title, unit, groups):
    """`groups`: (name, [(label, value, is_ours)])."""
    highest = max(value for _, rows in groups for _, value, _ in rows)
    left, right, parts, y = 190, 90, [text(16, 26, f"{title} ({unit})")], 48
    for name, rows in groups:
        parts.append(text(16, y + 12, name))
        y += 22
        for label, value, is_ours in rows:
            length = (WIDTH - left - right) * value / highest
            colour = OURS if is_ours else OTHER
            parts.append(text(left - 8, y + 13, label, "end"))
            parts.append(f'<rect x="{left}" y="{y}" width="{length:.1f}" height="17" fill="{colour}"/>')
            parts.append(text(left + length + 6, y + 13, f"{value:,.1f}"))
            y += 22
        y += 12
    return svg(y, parts)


def curves(title, unit, lines):
    """`lines`: {name: [(times, value)]}, both axes logarithmic: a straight line that climbs one by one is linear growth."""
    from math import log10

    points = [point for line in lines.values() for point in line]
    xs = [log10(x) for x, _ in points]
    ys = [log10(y) for _, y in points]
    x0, x1, y0, y1 = int(min(xs)), int(max(xs)) + 1, int(min(ys) // 1), int(max(ys) // 1) + 1
    left, top, bottom, right, height = 70, 46, 50, 20, 440

    def place(x, y):
        across = left + (log10(x) - x0) / (x1 - x0) * (WIDTH - left - right)
        return across, height - bottom - (log10(y) - y0) / (y1 - y0) * (height - top - bottom)

    parts = [text(16, 26, f"{title} ({unit})")]
    for decade in range(x0, x1 + 1):
        x, _ = place(10**decade, 10**y0)
        parts.append(f'<line x1="{x:.1f}" y1="{top}" x2="{x:.1f}" y2="{height - bottom}" stroke="{GRID}"/>')
        parts.append(text(x, height - bottom + 18, f"{10**decade:,}", "middle"))
    for decade in range(y0, y1 + 1):
        _, y = place(10**x0, 10.0**decade)
        parts.append(f'<line x1="{left}" y1="{y:.1f}" x2="{WIDTH - right}" y2="{y:.1f}" stroke="{GRID}"/>')
        parts.append(text(left - 6, y + 4, f"{10.0**decade:,g}", "end"))
    for number, (name, line) in enumerate(lines.items()):
        colour = CURVES[number % len(CURVES)]
        path = " ".join("{:.1f},{:.1f}".format(*place(x, y)) for x, y in line)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts.append(text(left + 10, top + 18 + 18 * number, name, colour=colour))
    return svg(height, parts)
