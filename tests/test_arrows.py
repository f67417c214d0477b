"""Who may know whom: the arrows of the design, read from the imports of every module."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Which rooms a room may open, beside itself.
ROOMS = {
    "lipsync_core": set(),
    "blocks": {"lipsync_core"},
    "tasks": {"blocks", "lipsync_core"},
    "flows": {"blocks", "tasks", "lipsync_core"},
    "deployments": {"blocks", "flows", "tasks", "lipsync_core"},
}  # fmt: skip

# The same inside the core, by its packages and modules: a film flows one way.
_GROUND = {"ahead", "errors", "naming", "timeline", "whole"}
_MEDIA = _GROUND | {"media"}
_SEEN = _MEDIA | {"faces", "scan", "material"}
CORE = {
    "ahead": set(),
    "errors": set(),
    "naming": {"errors"},
    "timeline": {"errors"},
    "whole": {"errors"},
    "media": _GROUND,
    "faces": _MEDIA,
    "scan": _MEDIA | {"faces"},
    "material": _SEEN,
    "plan": _SEEN,
    "speech_plan": _MEDIA,
    "still_film": _SEEN | {"generators"},
    "sync": _SEEN | {"weights"},
    "generators": _SEEN | {"sync", "weights", "jobs", "services"},
    "finish": _SEEN | {"weights"},
    "training": _SEEN | {"generators", "sync", "weights"},
    "verify": _SEEN | {"generators", "sync"},
    "report": _SEEN,
    "weights": {"errors", "services"},
    "pairs": _MEDIA | {"jobs", "services", "stores"},
    "stores": _GROUND | {"services"},
    "services": {"errors"},
    "jobs": _GROUND | {"stores"},
    "demo": _MEDIA | {"generators"},
}  # fmt: skip


def imported(module: Path) -> Iterator[str]:
    """The full names a module imports, wherever in it the import stands."""
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}:{node.lineno}: name the whole module"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def modules(room: str) -> list[Path]:
    return sorted((ROOT / room).rglob("*.py"))


ALL = [module for room in ROOMS for module in modules(room)]


def place(module: Path) -> tuple[str, ...]:
    """Room, then package or module, …: ``("lipsync_core", "media", "probe")``."""
    return module.relative_to(ROOT).with_suffix("").parts


def test_there_is_something_to_look_at() -> None:
    assert len(ALL) > 60
    found = set(imported(ROOT / "flows/bulk.py"))
    assert {"lipsync_core.report.summary.RunSummary", "prefect.flow"} <= found


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_opens_no_door_against_the_arrows(room: str) -> None:
    wrong = [
        f"{module.relative_to(ROOT)} imports {name}"
        for module in modules(room)
        for name in imported(module)
        if name.split(".")[0] in (ROOMS.keys() | {"tests"}) - ROOMS[room] - {room}
    ]
    assert wrong == []


def test_the_core_would_be_true_without_prefect() -> None:
    wrong = [
        f"{module.relative_to(ROOT)} imports {name}"
        for module in modules("lipsync_core")
        for name in imported(module)
        if name.split(".")[0].startswith("prefect")
    ]
    assert wrong == []


def test_inside_the_core_a_film_flows_one_way() -> None:
    wrong = []
    for module in modules("lipsync_core"):
        _, own, *_ = place(module)
        if own == "__init__":
            continue
        assert own in CORE, f"say in this test what lipsync_core/{own} may know"
        for name in imported(module):
            room, *rest = name.split(".")
            if room == "lipsync_core" and rest[0] not in CORE[own] | {own}:
                wrong.append(f"{module.relative_to(ROOT)} imports {name}")
    assert wrong == []


def test_the_arrows_of_this_test_run_in_no_circle() -> None:
    for graph in (ROOMS, CORE):
        left = dict(graph)
        while free := [name for name, known in left.items() if not known & left.keys() - {name}]:
            for name in free:
                del left[name]
        assert left == {}


def test_nobody_keeps_a_module_for_odds_and_ends() -> None:
    odd = {"utils", "util", "helpers", "helper", "common", "misc"}
    assert [module for module in ALL if set(place(module)) & odd] == []


def test_every_import_is_of_this_project_or_a_declared_dependency_or_python_itself() -> None:
    """A package that happens to be installed beside another one may be gone tomorrow."""
    declared = (ROOT / "pyproject.toml").read_text(encoding="utf-8").lower().replace("-", "_")
    names = {"cv2": "opencv_python", "skimage": "scikit_image", "pydantic_core": "pydantic",
             "dotenv": "python_dotenv", "tusclient": "tuspy", "pynvml": "nvidia_ml_py",
             "PIL": "pillow"}  # fmt: skip
    wrong = []
    for module in ALL:
        for name in imported(module):
            top = name.split(".")[0]
            known = top in sys.stdlib_module_names or top in ROOMS
            if not known and f'"{names.get(top, top.lower())}' not in declared:
                wrong.append(f"{module.relative_to(ROOT)} imports {top}")
    assert wrong == []
