"""Imports between the modules of pipeline: there is no cycle, not even through a function."""

from __future__ import annotations

import ast
import graphlib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def module_name(file: Path, root: Path) -> str:
    parts = file.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def statements(node: ast.AST) -> Iterator[ast.AST]:
    """All that runs, at whatever depth: all but what only a type checker reads."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            child = ast.Module(child.orelse, [])
        yield child
        yield from statements(child)


def imported(source: str, modules: set[str]) -> set[str]:
    """Which of ``modules`` this source imports. The packages above a module, which Python imports too, do not count."""
    found = set()
    for node in statements(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "a relative import, which this test cannot follow"
            inside = {alias.name: f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in modules else node.module for name in inside.values()}
    return found & modules


def import_cycle(root: Path) -> list[str]:
    """Modules of the package pipeline in ``root``, each of which is imported by the one after it, the last being the
    first again; none where there is no cycle."""
    sources = {module_name(file, root): file.read_text(encoding="utf-8") for file in root.glob("pipeline/**/*.py")}
    graph = {name: imported(source, set(sources)) - {"pipeline", name} for name, source in sources.items()}
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return error.args[1]
    return []


def test_no_module_is_imported_by_what_it_imports():
    assert import_cycle(ROOT) == []


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("import pipeline.b", "from pipeline.a import x", True),
        ("from pipeline import b", "def f():\n    if x:\n        from pipeline import a", True),
        ("from pipeline.b import x", "", False),
        ("from pipeline.b import x", "if TYPE_CHECKING:\n    from pipeline import a", False),
        ("from pipeline.b import x", "if TYPE_CHECKING:\n    pass\nelse:\n    from pipeline import a", True),
        ("from pipeline.b import x", "from pipeline import __version__", False),
    ],
)
def test_a_cycle_is_found_wherever_its_imports_stand(tmp_path, a, b, expected):
    package = tmp_path / "pipeline"
    package.mkdir()
    for name, source in {"__init__": "from pipeline.a import x", "a": a, "b": b}.items():
        (package / f"{name}.py").write_text(source)
    assert (set(import_cycle(tmp_path)) == {"pipeline.a", "pipeline.b"}) is expected


LAYERS = (
    ("errors", "tables", "network", "wholefile"),
    ("cards", "hosted", "prices", "catalog", "switches", "request", "wording", "disk"),
    ("weights", "download", "loading", "fit", "switching", "residency", "lock", "timing", "caches", "estimate"),
    ("backends",),
    ("engine", "report", "history", "compare", "sweep", "votes"),
    ("ui", "__main__"),
)
"""From the lowest: none imports anything of a higher one, nor does what it imports."""


def layer_of(module: str) -> int | None:
    part = module.split(".")[1]
    return next((number for number, names in enumerate(LAYERS) if part in names), None)


def reached(start: str, graph: dict[str, set[str]]) -> set[str]:
    found, left = set(), [start]
    while left:
        left += graph[left.pop()] - found
        found |= set(left)
    return found


def test_imports_run_one_way():
    sources = {module_name(file, ROOT): file.read_text(encoding="utf-8") for file in ROOT.glob("pipeline/**/*.py")}
    graph = {name: imported(source, set(sources)) - {"pipeline", name} for name, source in sources.items()}
    placed = {name: layer_of(name) for name in graph if name != "pipeline" and layer_of(name) is not None}
    assert {name for names in LAYERS for name in names} == {name.split(".")[1] for name in placed}
    upwards = {
        (name, other)
        for name, layer in placed.items()
        for other in reached(name, graph)
        if placed.get(other, layer) > layer
    }
    assert not upwards
