"""The arrows of the architecture go one way; modules that are not written yet have none."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import grimp
import pytest


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("lookout", include_external_packages=True, cache_dir=None)


def _modules(graph: grimp.ImportGraph, package: str) -> set[str]:
    return {module for module in graph.modules if module == package or module.startswith(f"{package}.")}


@pytest.mark.parametrize("upstream", ["lookout.camera", "lookout.pipeline"])
@pytest.mark.parametrize(
    "downstream", ["lookout.api", "lookout.integrations", "lookout.events", "lookout.engine", "lookout.state.hub"]
)
def test_cameras_and_the_pipeline_know_nothing_of_who_watches(
    graph: grimp.ImportGraph, upstream: str, downstream: str
) -> None:
    watchers = _modules(graph, downstream)
    for module in _modules(graph, upstream):
        assert not graph.find_upstream_modules(module) & watchers, f"{module} leads to {downstream}"


def test_the_api_opens_no_camera_and_no_session(graph: grimp.ImportGraph) -> None:
    for module in _modules(graph, "lookout.api"):
        direct = graph.find_modules_directly_imported_by(module)
        assert not {name for name in direct if name.startswith("lookout.camera")}, module
        assert "onnxruntime" not in direct, module
        assert "lookout.pipeline.classifier" not in direct or _only_types(graph, module), module


def test_events_watch_the_state_and_are_wired_to_the_engine_by_the_server(graph: grimp.ImportGraph) -> None:
    """Recording is an addition: the loop runs without it, and it can be tested without a camera and without HTTP."""
    above = set().union(*(_modules(graph, f"lookout.{room}") for room in ("api", "engine", "camera", "server", "cli")))
    for module in _modules(graph, "lookout.events"):
        assert not graph.find_modules_directly_imported_by(module) & above, module
    for room in ("engine", "state", "storage"):
        for module in _modules(graph, f"lookout.{room}"):
            direct = graph.find_modules_directly_imported_by(module)
            assert not direct & _modules(graph, "lookout.events"), module


def _only_types(graph: grimp.ImportGraph, module: str) -> bool:
    """Whether `module` takes nothing but the result type from the classifier."""
    details = graph.get_import_details(importer=module, imported="lookout.pipeline.classifier")
    return all("Prediction" in detail["line_contents"] for detail in details)


def test_nothing_but_the_training_side_and_the_model_verbs_parses_graphs(graph: grimp.ImportGraph) -> None:
    service = _modules(graph, "lookout.engine") | _modules(graph, "lookout.server") | _modules(graph, "lookout.api")
    for module in service:
        assert "onnx" not in graph.find_modules_directly_imported_by(module), module


def test_no_module_leads_back_to_itself(graph: grimp.ImportGraph) -> None:
    for module in _modules(graph, "lookout"):
        for imported in graph.find_modules_directly_imported_by(module):
            chain = graph.find_shortest_chain(importer=imported, imported=module)
            assert chain is None, " -> ".join((module, *(chain or ())))


def test_importing_the_package_imports_nothing_heavy() -> None:
    import subprocess

    code = "import lookout, sys; print([m for m in ('cv2', 'numpy', 'onnxruntime', 'fastapi') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


SERVICE = Path(__file__).parents[1] / "service" / "lookout"


@pytest.mark.parametrize("path", sorted(SERVICE.rglob("*.py")), ids=lambda path: str(path.relative_to(SERVICE)))
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
