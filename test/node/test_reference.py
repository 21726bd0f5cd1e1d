"""The reference pages and the tables of README.md say what the code says."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (or its wheels)")

from vla_ros.ros.interfaces import ACTIONS, SERVICES, TOPICS

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reference", ROOT / "scripts" / "reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["reference"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def pages(reference: ModuleType) -> dict[Path, str]:
    return reference.pages()


def test_pages_are_up_to_date(reference: ModuleType, pages: dict[Path, str]) -> None:
    names = [str(path.relative_to(ROOT)) for path in reference.outdated(pages)]
    assert not names, f"out of date: {', '.join(names)}. Run: . scripts/env.sh && scripts/reference.py"


def test_a_changed_page_is_out_of_date(reference: ModuleType, pages: dict[Path, str], tmp_path: Path) -> None:
    page = ROOT / "docs" / "reference" / "nodes.md"
    copy = tmp_path / "nodes.md"
    copy.write_text(pages[page], encoding="utf-8")
    assert reference.outdated({copy: pages[page]}) == []
    assert reference.outdated({copy: pages[page] + "more"}) == [copy]
    assert reference.outdated({tmp_path / "absent.md": ""}) == [tmp_path / "absent.md"]


def test_every_interface_is_on_the_page(pages: dict[Path, str]) -> None:
    page = pages[ROOT / "docs" / "reference" / "interfaces.md"]
    assert [i.name for i in (*TOPICS, *SERVICES, *ACTIONS) if f"`{i.name}`" not in page] == []


def test_every_node_has_a_section_with_its_parameters(reference: ModuleType, pages: dict[Path, str]) -> None:
    page = pages[ROOT / "docs" / "reference" / "nodes.md"]
    modules = reference.node_modules()
    assert set(modules) == {path.stem.removesuffix("_node") for path in (ROOT / "vla_ros" / "nodes").glob("*_node.py")}
    for name, module in modules.items():
        assert f"## {name}\n" in page
        assert reference.config_class(module) is not None, f"{name} declares no parameters"


def test_every_party_of_the_table_is_a_node_or_known(reference: ModuleType) -> None:
    known = {*reference.node_modules(), "all", "any node", "driver", "controller", "RViz", "people"}
    cells = [cell for t in TOPICS for cell in (t.publishers, t.subscribers)] + [i.server for i in (*SERVICES, *ACTIONS)]
    assert {party for cell in cells for party in reference.parties(cell)} - known == set()


def test_sections_are_replaced_between_their_marks_only(reference: ModuleType) -> None:
    text = "before\n<!-- begin nodes: x -->\nold\n<!-- end nodes -->\nafter\n"
    assert reference.with_sections(text, {"nodes": "new"}) == "before\n<!-- begin nodes: x -->\nnew\n<!-- end nodes -->\nafter\n"
    with pytest.raises(ValueError, match="begin topics"):
        reference.with_sections(text, {"topics": "new"})
