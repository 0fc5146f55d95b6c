"""Names files over 300 lines and functions over 40, of the code that runs; a short list says why some may be longer."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("server", "schema", "execution", "clients")
FILE_LINES, FUNCTION_LINES = 300, 40
# What is longer, how long it may become, and why it is better in one piece.
ARGUED = {
    "server/access/repository.py": (340, "sentences about credentials, which are locked and revoked together"),
    "server/planning/models.py": (360, "the tables of one plan, which refer to each other"),
    "server/planning/repository/grid.py::_read": (48, "one statement and the rows of its three kinds, side by side"),
    "schema/http.py": (340, "one view: what it does otherwise than Strawberry's, method by method"),
    "schema/access.py": (320, "half of it describes the API, field by field"),
}


def lengths(path: Path) -> Iterator[tuple[str, int, int]]:
    """(name, lines, allowed) of the file and of each of its functions."""
    text, name = path.read_text(), str(path.relative_to(ROOT))
    yield name, len(text.splitlines()), FILE_LINES
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{name}::{node.name}", (node.end_lineno or node.lineno) - node.lineno + 1, FUNCTION_LINES


def main() -> int:
    files = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
    longer = {name: lines for path in files for name, lines, allowed in lengths(path) if lines > allowed}
    wrong = [
        f"{name}: {lines} lines; split it, or say in {Path(__file__).name} why not"
        for name, lines in longer.items()
        if lines > ARGUED.get(name, (0, ""))[0]
    ]
    wrong += [f"{name}: short enough now; take it off the list" for name in ARGUED.keys() - longer.keys()]
    print("\n".join(wrong) or f"{len(files)} files, {len(ARGUED)} argued exceptions")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
