"""Draws a comparison as SVG: for each problem, how much longer each peer takes than TileCL.

`compare` calls this. It needs nothing beyond Python, and the picture follows the reader's light or dark scheme.
"""

import math
from xml.sax.saxutils import escape

# Okabe and Ito's colours, which people with any kind of colour vision tell apart; shapes say the same.
PEERS = {
    "cuDNN": ("#e69f00", "square"), "FlexAttention": ("#0a84c8", "circle"), "FlashAttention-2": ("#009e73", "diamond"),
    "FlashAttention-3": ("#cc79a7", "diamond"), "FlashInfer": ("#d55e00", "triangle"),
    "NATTEN": ("#cc79a7", "triangle"), "SDPA": ("#e69f00", "square"), "cuBLAS": ("#e69f00", "square"),
    "PyTorch": ("#e69f00", "square"), "eager": ("#e69f00", "square"), "compiled": ("#d55e00", "triangle"),
    "CCE": ("#0a84c8", "circle"), "CCE exact": ("#0a84c8", "circle"), "Liger": ("#009e73", "diamond"),
    "Liger x16": ("#cc79a7", "diamond")}
TITLES = {"attention": "Attention", "linear-cross-entropy": "Linear cross-entropy", "matmul": "Matrix products"}
STYLE = """
  svg { font: 12px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif }
  .page { fill: #ffffff } text { fill: #1f2328 } .faint { fill: #59636e }
  .grid { stroke: #d1d9e0; stroke-width: 1 } .even { stroke: #1f2328; stroke-width: 1.5 }
  .bar { stroke: #cf222e; stroke-width: 2 }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0d1117 } text { fill: #f0f6fc } .faint { fill: #9198a1 }
    .grid { stroke: #3d444d } .even { stroke: #f0f6fc } .bar { stroke: #ff7b72 }
  }
"""
LABELS, WIDTH, LINE, TOP = 400, 960, 22, 92


def svg(report, bars):
    # Single runs are left out where a note says that they do not compare.
    keys = ["sustainedRatio"] if "note" in report else ["burstRatio", "sustainedRatio"]
    marks = "filled: sustained, hollow: single runs" if len(keys) == 2 else "by sustained times"
    rows = [row for row in report["results"] if ratios(row, keys)]
    values = [value for row in rows for pair in ratios(row, keys).values() for value in pair.values()]
    values += [value for row in rows for value in targets(row, bars)]
    ends = bounds(values)
    height = TOP + LINE * len(rows) + 44
    operation = TITLES[report.get("operation", "attention")]
    title = f"{operation} on {report.get('device', 'a device')}: how many times as long as TileCL the peers take"
    about = f"driver {report.get('driver', '-')}, PyTorch {report.get('torch', '-')}, {report['date']}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
        f'role="img" aria-label="{escape(title, {chr(34): "&quot;"})}">',
        f"<style>{STYLE}</style>", f'<rect class="page" width="{WIDTH}" height="{height}"/>',
        f'<text x="16" y="26" font-size="16" font-weight="600">{escape(title)}</text>',
        f'<text class="faint" x="16" y="46">{escape(about)}; {marks}; '
        "a red line: the bar</text>"]
    parts += legend([name for name in PEERS if any(name in row["peers"] for row in rows)])
    bottom = TOP + LINE * len(rows)
    for tick in ticks(ends):
        x = place(tick, ends)
        kind = "even" if tick == 1 else "grid"
        parts.append(f'<line class="{kind}" x1="{x:.1f}" y1="{TOP - 4}" x2="{x:.1f}" y2="{bottom}"/>')
        parts.append(f'<text class="faint" x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{tick:g}</text>')
    parts.append(
        f'<text class="faint" x="{(LABELS + WIDTH) / 2}" y="{bottom + 36}" text-anchor="middle">'
        "peer's time / TileCL's time; right of 1 TileCL is faster</text>")
    for number, row in enumerate(rows):
        parts += line(row, ratios(row, keys), targets(row, bars), TOP + LINE * number + LINE / 2, ends)
    return "\n".join(parts + ["</svg>"]) + "\n"


def ratios(row, keys):
    """Of each peer of a problem, the ratios of these names, as far as they were measured."""
    found = {name: {key: peer[key] for key in keys if key in peer} for name, peer in row["peers"].items()}
    return {name: values for name, values in found.items() if values}


def targets(row, bars):
    """The ratios to reach in a problem."""
    return [
        bar["bar"] for bar in bars
        if bar["problem"] == row["problem"] and bar["measure"] == "speedup" and "bar" in bar
        and bar["over"] in row["peers"]]


def bounds(values):
    """The ends of the logarithmic axis: the values and 1, with a little room."""
    return min(values + [0.9]) / 1.1, max(values + [1.5]) * 1.1


def ticks(ends):
    marks = [0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 100]
    return [mark for mark in marks if ends[0] <= mark <= ends[1]]


def place(value, ends):
    low, high = (math.log(end) for end in ends)
    return LABELS + (math.log(value) - low) / (high - low) * (WIDTH - 24 - LABELS)


def line(row, ratios, targets, y, ends):
    """A problem: its name, TileCL's time, and a mark for each of a peer's ratios."""
    own = row["tilecl"].get("sustained", row["tilecl"]["burst"])
    parts = [
        f'<text x="16" y="{y + 4}">{escape(row["problem"])}</text>',
        f'<text class="faint" x="{LABELS - 12}" y="{y + 4}" text-anchor="end">'
        f"{own['milliseconds']:.3g} ms</text>"]
    for target in targets:
        x = place(target, ends)
        parts.append(f'<line class="bar" x1="{x:.1f}" y1="{y - 9}" x2="{x:.1f}" y2="{y + 9}"/>')
    for name, values in ratios.items():
        colour, shape = PEERS.get(name, ("#888888", "circle"))
        hint = f"<title>{escape(name)}: " + ", ".join(f"{value:.2f}" for value in values.values()) + "</title>"
        xs = [place(value, ends) for value in values.values()]
        if len(xs) == 2:
            parts.append(
                f'<line x1="{xs[0]:.1f}" y1="{y}" x2="{xs[1]:.1f}" y2="{y}" stroke="{colour}" stroke-width="1.5"/>')
        for key, x in zip(values, xs):
            fill = colour if key == "sustainedRatio" else "none"
            parts.append(f'<g fill="{fill}" stroke="{colour}" stroke-width="1.8">{hint}{mark(shape, x, y)}</g>')
    return parts


def mark(shape, x, y):
    if shape == "square":
        return f'<rect x="{x - 4.5:.1f}" y="{y - 4.5}" width="9" height="9"/>'
    if shape == "diamond":
        return f'<path d="M{x:.1f} {y - 6} l6 6 l-6 6 l-6 -6 z"/>'
    if shape == "triangle":
        return f'<path d="M{x:.1f} {y - 6} l6 11 l-12 0 z"/>'
    return f'<circle cx="{x:.1f}" cy="{y}" r="5"/>'


def legend(names):
    parts, x = [], 22
    for name in names:
        colour, shape = PEERS[name]
        parts.append(f'<g fill="{colour}" stroke="{colour}">{mark(shape, x, 68)}</g>')
        parts.append(f'<text x="{x + 12}" y="72">{escape(name)}</text>')
        x += 36 + 7 * len(name)
    return parts
