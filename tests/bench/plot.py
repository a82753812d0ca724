"""How warm invocations grow with clusters and Regions, as a plot in SVG: wall time and CPU time, both axes logarithmic."""

from html import escape
from math import log10

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 760, 420, 70, 40, 230, 50
COLOURS = ["#1f77b4", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#7f7f7f", "#bcbd22"]


def growth(rows: list[dict]) -> str:
    """The rows of the bench's table of warm invocations without a match."""
    lines: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        if row["matches"]:
            continue
        place = "1 Region" if row["regions"] == 1 else f"{row['regions']} Regions"
        for figure in ("wall", "CPU"):
            lines.setdefault(f"{row['function']}, {place}: {figure}", []).append((row["clusters"], row[figure]))
    xs = [x for points in lines.values() for x, _ in points]
    ys = [y for points in lines.values() for _, y in points]
    at = axes(min(xs), max(xs), min(ys), max(ys))
    body = [*grid(at, max(xs), min(ys), max(ys))]
    for n, (name, points) in enumerate(sorted(lines.items())):
        colour, dash = COLOURS[n // 2 % len(COLOURS)], "4 3" if name.endswith("CPU") else ""
        places = [at(*point) for point in sorted(points)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        body.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2" stroke-dasharray="{dash}"/>')
        body += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places]
        y = TOP + 8 + n * 20
        x = WIDTH - RIGHT + 16
        body.append(f'<line x1="{x}" y1="{y}" x2="{x + 22}" y2="{y}" stroke="{colour}" stroke-width="2" stroke-dasharray="{dash}"/>')
        body.append(text(x + 28, y + 4, name.replace("access-entry-guard, ", ""), size=10))
    title = "Warm invocations without a match: milliseconds by number of clusters (20 ms per AWS call)"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif">\n'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>\n{text(LEFT, 22, title, size=13)}\n' + "\n".join(body) + "\n</svg>\n"
    )


def axes(x0: float, x1: float, y0: float, y1: float):
    def at(x: float, y: float) -> tuple[float, float]:
        across = (log10(x) - log10(x0)) / (log10(x1) - log10(x0) or 1)
        up = (log10(y) - log10(y0)) / (log10(y1) - log10(y0) or 1)
        return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)

    return at


def grid(at, right: float, low: float, high: float):
    for power in range(-1, 7):
        if low <= 10**power <= high:
            x, y = at(right, 10**power)
            yield f'<line x1="{LEFT}" y1="{y:.1f}" x2="{x:.1f}" y2="{y:.1f}" stroke="#ddd"/>'
            yield text(LEFT - 8, y + 4, f"{10**power:g} ms", anchor="end")
        if 10**power <= right and power >= 0:
            x, y = at(10**power, low)
            yield text(x, HEIGHT - BOTTOM + 18, f"{10**power:,}", anchor="middle")
    yield text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, "clusters", anchor="middle")


def text(x: float, y: float, words: str, size: int = 11, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}">{escape(words)}</text>'
