"""Definitions are found along the prefixes, with all they use, and are what independent readers expect."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rosbags.typesys import get_types_from_msg

from vla_ros.core.errors import DataError
from vla_ros.core.resources import share_dir
from vla_ros.data.message_definitions import MessageDefinitions, ament_prefixes, used_types


def install(prefix: Path, package: str, name: str, text: str, type_hash: str = "") -> None:
    folder = prefix / "share" / package / "msg"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.msg").write_text(text)
    if type_hash:
        hashes = [
            {"type_name": "other/msg/Other", "hash_string": "wrong"},
            {"type_name": f"{package}/msg/{name}", "hash_string": type_hash},
        ]
        (folder / f"{name}.json").write_text(json.dumps({"type_hashes": hashes}))


@pytest.fixture
def prefixes(tmp_path: Path) -> tuple[Path, Path]:
    upper, lower = tmp_path / "upper", tmp_path / "lower"
    install(lower, "inner", "Deep", "float64 x")
    install(lower, "inner", "Point", "uint8 KIND=1  # outer/Nothing here\nDeep[<=4] deep\nfloat64[3] xyz")
    install(
        lower, "outer", "Path", '# outer/Comment comment\ninner/Point[] points\ninner/Point last\nstring<=8 name "inner/Deep"', "RIHS01_ab"
    )
    return upper, lower


def test_definition_holds_every_type_once(prefixes: tuple[Path, Path]) -> None:
    definition = MessageDefinitions(prefixes).get("outer/msg/Path")
    assert definition.text.count("MSG: inner/Point") == definition.text.count("MSG: inner/Deep") == 1
    assert definition.type_hash == "RIHS01_ab"
    types = get_types_from_msg(definition.text, "outer/msg/Path")
    assert set(types) == {"outer/msg/Path", "inner/msg/Point", "inner/msg/Deep"}


def test_the_first_prefix_with_the_package_wins(prefixes: tuple[Path, Path]) -> None:
    install(prefixes[0], "inner", "Deep", "float32 overlaid")
    install(prefixes[0], "inner", "Point", "Deep deep")
    definition = MessageDefinitions(prefixes).get("outer/msg/Path")
    assert "overlaid" in definition.text
    assert "float64 x" not in definition.text
    assert MessageDefinitions(prefixes).get("inner/msg/Deep").type_hash == ""


def test_missing_things_are_named(prefixes: tuple[Path, Path]) -> None:
    definitions = MessageDefinitions(prefixes)
    with pytest.raises(DataError, match="no package 'nowhere'"):
        definitions.get("nowhere/msg/Thing")
    with pytest.raises(DataError, match=r"Missing\.msg does not exist"):
        definitions.get("inner/msg/Missing")
    with pytest.raises(DataError, match="expected '<package>/msg/<Name>'"):
        definitions.get("inner/Point")


def test_prefixes_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMENT_PREFIX_PATH", "/a:/b/c")
    assert ament_prefixes() == (Path("/a"), Path("/b/c"))
    monkeypatch.delenv("AMENT_PREFIX_PATH")
    assert ament_prefixes() == ()


def test_every_message_of_this_package_parses() -> None:
    for path in (share_dir() / "msg").glob("*.msg"):
        text = path.read_text()
        used = {t for _, (_, fields) in get_types_from_msg(text, f"vla_ros/msg/{path.stem}").items() for t in _names(fields)}
        assert used == set(used_types(text, "vla_ros")), path.name


def _names(fields: list) -> set[str]:  # type: ignore[type-arg]
    """Message types among the fields as rosbags parsed them."""
    found = set()
    for _, (node, detail) in fields:
        inner_node, inner = (node, detail) if node.name in ("BASE", "NAME") else detail[0]
        if inner_node.name == "NAME":
            found.add(inner)
    return found
