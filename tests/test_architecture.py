"""The layout is held: imports go down only, each forbidden arrow with its reason, and modules stay small.

What is allowed and why stands in `tests/layout.py`; a test that fails prints the sentence from there.
"""

from __future__ import annotations

import ast
import graphlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grimp
import pytest

from tests.layout import ENTRY, FORBIDDEN, GROUND, KNOWS_NO_PATHS, NARROW, ROOMS, WITHOUT

SERVICE = Path(__file__).parents[1] / "service" / "lookout"
FILES = sorted(SERVICE.rglob("*.py"))
MAX_LINES = 400
MAX_FUNCTION_LINES = 47
Arrow = tuple[str, str]


def name_of(path: Path) -> str:
    return str(path.relative_to(SERVICE))


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("lookout", include_external_packages=True, cache_dir=None)


@pytest.fixture(scope="module")
def arrows(graph: grimp.ImportGraph) -> list[Arrow]:
    """Who imports whom, by names below the package: ("api.app", "engine.worker"). Packages from outside as they are."""
    return [
        (module.removeprefix("lookout."), imported.removeprefix("lookout."))
        for module in sorted(graph.modules)
        if module.startswith("lookout.")
        for imported in sorted(graph.find_modules_directly_imported_by(module))
        if imported != "lookout"
    ]


def room_of(module: str) -> str:
    return module.partition(".")[0]


def why_forbidden(importer: str, imported: str) -> str | None:
    """The sentence why one module may not import another, None where it may."""
    here, there = room_of(importer), room_of(imported)
    if reason := WITHOUT.get((here, there)):
        return reason
    if (there not in ROOMS and there not in GROUND | ENTRY) or here == there or here in ENTRY:
        return None
    if here in GROUND:
        return None if there in GROUND else "What stands on the ground floor carries all rooms and rests on none."
    if there in GROUND:
        return None
    if there not in ROOMS[here].may:
        return FORBIDDEN.get((here, there), ROOMS[here].why)
    for narrow in NARROW:
        if (narrow.importer, narrow.imported) == (here, there):
            fits = importer in (narrow.by or {importer}) and imported in (narrow.what or {imported})
            return None if fits else narrow.why
    return None


def test_every_import_goes_where_the_layout_allows(arrows: list[Arrow]) -> None:
    assert len(arrows) > 500
    wrong = {f"{one} -> {other}": why_forbidden(one, other) for one, other in arrows}
    assert [f"{arrow}: {why}" for arrow, why in wrong.items() if why] == []


@pytest.mark.parametrize(
    ("importer", "imported"),
    [
        *FORBIDDEN,
        *WITHOUT,
        ("pipeline.card", "storage.storage"),
        ("integrations.mqtt", "engine.worker"),
        ("doctor.program", "server.serve"),
        ("errors", "state.state"),
        ("auth.tokens", "camera.address"),
    ],
)
def test_a_forbidden_arrow_fails_with_its_reason(importer: str, imported: str) -> None:
    why = why_forbidden(importer, imported)
    assert why is not None
    assert why.endswith(".")


def test_the_layout_names_every_room_and_nothing_else_stands_at_the_top() -> None:
    modules = {path.stem for path in SERVICE.glob("*.py")} - {"__init__"}
    rooms = {path.parent.name for path in SERVICE.glob("*/__init__.py")}
    assert modules == GROUND | ENTRY, "a module that is neither ground floor nor entry belongs into a room"
    assert rooms == set(ROOMS), "a room is entered in tests/layout.py, with what it may import and why nothing else"
    assert all(room.may <= set(ROOMS) for room in ROOMS.values())


def test_rooms_stand_on_one_another_and_never_in_a_circle(arrows: list[Arrow]) -> None:
    graphlib.TopologicalSorter({name: room.may for name, room in ROOMS.items()}).prepare()
    modules: dict[str, set[str]] = {}
    for importer, imported in arrows:
        modules.setdefault(importer, set()).add(imported)
    graphlib.TopologicalSorter(modules).prepare()  # CycleError names the modules of the circle


def test_the_api_takes_the_result_type_from_the_classifier_and_no_network(graph: grimp.ImportGraph) -> None:
    for module in (name for name in graph.modules if name.startswith("lookout.api.")):
        if "lookout.pipeline.classifier" in graph.find_modules_directly_imported_by(module):
            details = graph.get_import_details(importer=module, imported="lookout.pipeline.classifier")
            assert all("Prediction" in detail["line_contents"] for detail in details), module


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = "import lookout, sys; print([m for m in ('cv2', 'numpy', 'onnxruntime', 'fastapi') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_module_fits_on_a_few_screens_and_a_function_on_one(path: Path) -> None:
    text = path.read_text("utf-8")
    assert text.count("\n") <= MAX_LINES, "cut it where two things stand in one module"
    assert [name for name, lines in _functions(ast.parse(text)) if lines > MAX_FUNCTION_LINES] == []


def _functions(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Names, and the lines of the bodies: a long list of options is not a long function."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) and len(node.body) > 1 else node.body
            yield node.name, (node.end_lineno or 0) - body[0].lineno + 1


BELOW = [path for path in FILES if path.relative_to(SERVICE).parts[0] in KNOWS_NO_PATHS]


@pytest.mark.parametrize("path", BELOW, ids=name_of)
def test_nothing_below_the_api_speaks_of_its_paths(path: Path) -> None:
    """A remedy such as "PUT /api/model changes it" means nothing to those who read it in a terminal."""
    tree = ast.parse(path.read_text("utf-8"))
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings
    texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in prose]
    assert [text for text in texts if isinstance(text, str) and "/api/" in text] == []


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_no_module_uses_what_is_private_to_another(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"))
    foreign = set(_private_uses(tree)) - set(_private_names(tree))
    assert foreign <= {"_replace", "_exit"}, "a named tuple's and the system's are public all the same"


def _private_uses(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and _is_private(node.attr) and not _is_own(node):
            yield node.attr
        elif isinstance(node, ast.ImportFrom):
            yield from (alias.name for alias in node.names if _is_private(alias.name))


def _private_names(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and _is_own(node):
            yield node.attr


def _is_own(node: ast.Attribute) -> bool:
    return isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")
