"""The plot: for each size and operation a panel of bars, as SVG, which is less than a plotting library's wheel."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Any

from benchmarks.contenders import CONTENDERS
from benchmarks.ground import CONNECTIONS
from benchmarks.operations import READS

LABELS, PANEL, GAP, BAR, TOP = 250, 250, 30, 20, 70
STYLE = """
  text { font: 12px system-ui, sans-serif; fill: #24292f }
  .title { font-size: 15px; font-weight: 600 } .panel { font-weight: 600 } .note { fill: #57606a }
  .ours { fill: #0969da } .peer { fill: #8c959f } .floor { fill: #d0d7de }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .note { fill: #9198a1 }
    .ours { fill: #4493f8 } .peer { fill: #6e7681 } .floor { fill: #3d444d }
  }
"""


def draw(results: dict[str, Any]) -> str:
    """Bars in proportion within a panel; panels have scales of their own."""
    names = [name for name in CONTENDERS if _is_in(results, name)]
    height = TOP + len(results["sizes"]) * (BAR * len(names) + 60)
    width = LABELS + len(READS) * (PANEL + GAP)
    machine = results["machine"]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
        ' role="img" aria-labelledby="title">',
        f"<style>{STYLE}</style>",
        f'<text id="title" class="title" x="10" y="24">Requests per second at {CONNECTIONS} connections, one server'
        " process each (longer is better)</text>",
        f'<text class="note" x="10" y="44">{escape(results["date"])}, {machine["cores"]} cores of'
        f" {escape(machine['processor'])}, PostgreSQL {escape(machine['versions']['postgresql'])}</text>",
    ]
    y = TOP
    for users, found in results["sizes"].items():
        parts.extend(_size(users, found, names, y))
        y += BAR * len(names) + 60
    return "\n".join([*parts, "</svg>", ""])


def _is_in(results: dict[str, Any], name: str) -> bool:
    return any(
        name in found["operations"].get(operation, {}) for found in results["sizes"].values() for operation in READS
    )


def _size(users: str, found: dict[str, Any], names: list[str], y: int) -> Iterator[str]:
    yield f'<text class="panel" x="10" y="{y + 14}">{int(users):,} users</text>'
    for row, name in enumerate(names):
        yield f'<text x="10" y="{y + 34 + row * BAR}">{escape(CONTENDERS[name].title)}</text>'
    for column, operation in enumerate(READS):
        x = LABELS + column * (PANEL + GAP)
        measured = found["operations"].get(operation, {})
        yield f'<text class="panel" x="{x}" y="{y + 14}">{operation}</text>'
        most = max((each[str(CONNECTIONS)]["median"] for each in measured.values()), default=1)
        for row, name in enumerate(names):
            if name not in measured:
                continue
            rate = measured[name][str(CONNECTIONS)]["median"]
            length = max((PANEL - 60) * rate / most, 1)
            kind = "ours" if name == "ours" else "floor" if name.startswith("floor") else "peer"
            top = y + 22 + row * BAR
            yield f'<rect class="{kind}" x="{x}" y="{top}" width="{length:.1f}" height="{BAR - 5}" rx="2"/>'
            yield f'<text x="{x + length + 5:.1f}" y="{top + 12}">{rate:,.1f}</text>'
