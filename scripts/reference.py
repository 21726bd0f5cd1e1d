#!/usr/bin/env python3
"""Writes the reference pages and the tables of README.md from the code, so that they say what the code does.

    . scripts/env.sh && scripts/reference.py            writes them
    . scripts/env.sh && scripts/reference.py --check    exit code 1 when one is out of date; writes nothing

Sources: the interface table (vla_ros/ros/interfaces.py), the parameters' dataclasses and first lines of the node modules, the launch
files, the modules of the `vla` command, the enums of vla_ros/core/decisions.py and the comments of config/safety/panda.yaml.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import importlib.util
import os
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from vla_ros.cli.main import command_names, load_command  # noqa: E402 - the checkout's own modules, not installed ones
from vla_ros.core.decisions import SafetyMode, SafetyReason  # noqa: E402
from vla_ros.core.reasons import MEANINGS  # noqa: E402
from vla_ros.launcher.arguments import declared_arguments, default_text  # noqa: E402
from vla_ros.robots.config import load_robot_config  # noqa: E402
from vla_ros.ros.interfaces import ACTIONS, SERVICES, TOPICS, Action, Service  # noqa: E402
from vla_ros.ros.recording_profile import recorded_topics  # noqa: E402
from vla_ros.safety import config as safety_config  # noqa: E402

GENERATED = "<!-- Written by scripts/reference.py from the code. Change the code, then run it again. -->"
NODE_ORDER = (
    "planner",
    "action_expert",
    "world_model",
    "safety_monitor",
    "motion_forwarder",
    "camera_perception",
    "depth_perception",
    "tactile_perception",
    "state_publisher",
    "recorder",
    "sim_robot",
)
ROS_TYPES = {bool: "bool", int: "integer", float: "double", str: "string"}

MODES: dict[SafetyMode, str] = {
    SafetyMode.STARTING: "The self-test has not passed, or the arm has not been seen standing still yet. Nothing may move.",
    SafetyMode.READY: "Chunks are accepted; one may be followed at full pace.",
    SafetyMode.SLOWED: "A chunk is followed more slowly than it asks for, or the speed override is below 1.",
    SafetyMode.HOLDING: "The arm brakes or stands still. The hold ends half a second after its cause is gone; to move on takes a "
    "fresh chunk.",
    SafetyMode.STOPPED_LATCHED: "The arm brakes or stands still until `safety/reset` is called.",
}
def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; a bar inside a cell is escaped."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in line) + " |" for line in lines)


def code(text: str) -> str:
    """``text`` as code; nothing for nothing."""
    return f"`{text}`" if text else ""


def sentence(text: str) -> str:
    """With a capital and a full stop."""
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


# --- interfaces


def recorded_names() -> set[str]:
    """Names, as the interface table spells them, of the topics in a run's bag."""
    robot = load_robot_config("panda")
    recorded = {topic.name for topic in recorded_topics(robot)}
    parts = [{"camera": camera, "finger": finger} for camera in robot.cameras for finger in robot.tactile]
    return {topic.name for topic in TOPICS if any(topic.name.format(**part) in recorded for part in parts)}


def interfaces_page() -> str:
    """docs/reference/interfaces.md."""
    in_bag = recorded_names()
    topics = [
        [code(t.name), code(t.type), t.qos.value, t.rate, t.publishers, t.subscribers, "yes" if t.name in in_bag else "no", t.meaning]
        for t in TOPICS
    ]
    head = ["topic", "type", "QoS", "rate", "published by", "subscribed by", "in the bag", "meaning"]
    return "\n\n".join(
        [
            "# Interfaces",
            GENERATED,
            "Names are relative to the robot's namespace unless they begin with a slash. `{camera}` and `{finger}` stand for the names "
            "in `config/robots/<robot>.yaml`. The name and the type of the gripper's interface stand there too (`gripper: binding`). "
            "Every field of our own types is explained in `msg/`, `srv/` and `action/`.",
            "## Topics",
            table(head, topics),
            "## Services",
            table(["service", "type", "served by", "meaning"], _served(SERVICES)),
            "## Actions",
            table(["action", "type", "served by", "meaning"], _served(ACTIONS)),
            "Each node also has the services of a lifecycle node (`<node>/change_state`, `<node>/get_state`) and of its parameters.",
        ]
    )


def _served(interfaces: Iterable[Service | Action]) -> list[list[str]]:
    return [[code(i.name), code(i.type), i.server, i.meaning] for i in interfaces]


# --- nodes


def node_modules() -> dict[str, ModuleType]:
    """Node -> module, in the order of the graph; needs ROS."""
    names = [path.stem.removesuffix("_node") for path in (ROOT / "vla_ros" / "nodes").glob("*_node.py")]
    names.sort(key=lambda name: (NODE_ORDER.index(name) if name in NODE_ORDER else len(NODE_ORDER), name))
    return {name: importlib.import_module(f"vla_ros.nodes.{name}_node") for name in names}


def summary(node: str, module: ModuleType) -> str:
    """The first sentence of the module's docstring, without the node's name."""
    first = (module.__doc__ or "").strip().splitlines()[0].removeprefix(f"{node}:").strip()
    return sentence(re.split(r"(?<=\.) ", first)[0])


def config_class(module: ModuleType) -> type[Any] | None:
    """The dataclass of the module whose fields are ROS parameters."""
    classes = [c for c in vars(module).values() if isinstance(c, type) and dataclasses.is_dataclass(c) and c.__module__ == module.__name__]
    return next((c for c in classes if all("doc" in f.metadata for f in dataclasses.fields(c))), None)


def parameter_row(field: dataclasses.Field[Any]) -> list[str]:
    """Name, type, default, unit, range, meaning."""
    meta = field.metadata
    span = f"{meta['low']:g} to {meta['high']:g}" if meta["low"] is not None else ""
    default = f'"{field.default}"' if isinstance(field.default, str) else str(field.default).lower()
    return [code(field.name), ROS_TYPES[type(field.default)], code(default), meta["unit"], span, meta["doc"]]


def parties(text: str) -> list[str]:
    """The nodes in a cell of the interface table."""
    return re.split(r",\s*| or ", text)


def nodes_page(modules: dict[str, ModuleType]) -> str:
    """docs/reference/nodes.md."""
    head = [
        "# Nodes",
        GENERATED,
        "Each node is an executable of this package and a process of its own. It is a lifecycle node that configures and activates "
        "itself, unless its parameter `autostart` (bool, `true`) is `false`. Parameters are read-only while a node runs; a wrong name, "
        "type or value is refused at the start. Every node publishes `heartbeat`.",
    ]
    return "\n\n".join([*head, *(node_section(name, module) for name, module in modules.items())])


def node_section(node: str, module: ModuleType) -> str:
    """One node: what it is, what it exchanges, its parameters."""
    served = [(i.name, "service") for i in SERVICES if node in parties(i.server)] + [
        (i.name, "action") for i in ACTIONS if node in parties(i.server)
    ]
    heard = recorded_names() if node == "recorder" else {t.name for t in TOPICS if node in parties(t.subscribers)}
    lines = {
        "Subscribes": [code(t.name) for t in TOPICS if t.name in heard],
        "Publishes": [code(t.name) for t in TOPICS if node in parties(t.publishers)],
        "Serves": [f"{code(name)} ({kind})" for name, kind in served],
    }
    config = config_class(module)
    rows = [parameter_row(field) for field in dataclasses.fields(config)] if config else []
    head = ["parameter", "type", "default", "unit", "range", "meaning"]
    exchanged = "\n".join(f"- {what}: {', '.join(names)}" for what, names in lines.items() if names)
    return "\n\n".join([f"## {node}", summary(node, module), exchanged, table(head, rows) if rows else "No parameters of its own."])


# --- safety


def safety_page() -> str:
    """docs/reference/safety.md. Raises ValueError when a mode or reason has no sentence here."""
    absent = [word for words, known in ((SafetyMode, MODES), (SafetyReason, MEANINGS)) for word in words if word not in known]
    if absent:
        raise ValueError(f"scripts/reference.py has no sentence for {', '.join(word.name for word in absent)}.")
    return "\n\n".join(
        [
            "# Safety monitor: modes, reasons, settings",
            GENERATED,
            "What the monitor guarantees, and what it does not: [explanation](../explanation/safety.md).",
            "## Modes",
            "`safety/state`, field `mode`.",
            table(["number", "mode", "meaning"], ([str(int(m)), m.name, text] for m, text in MODES.items())),
            "## Reasons",
            "`safety/state` and `safety/decision`, field `reason`. A sentence with the joint, the value and the limit stands in `detail`.",
            table(["word", "meaning", "what to do"], ([code(r.value), m.what, m.to_do] for r, m in MEANINGS.items())),
            "## Settings",
            "`config/safety/<robot>.yaml`. Every key is required; an unknown one is refused. No key switches the monitor off, and none "
            "raises a limit of `config/robots/<robot>.yaml`.",
            table(["key", "panda", "valid", "meaning"], safety_rows()),
        ]
    )


def safety_rows() -> list[list[str]]:
    """Key, value, valid range and comment of config/safety/panda.yaml; inner keys as ``outer.inner``."""
    rows, outer = [], ""
    for line in (ROOT / "config" / "safety" / "panda.yaml").read_text(encoding="utf-8").splitlines():
        match = re.fullmatch(r"(?P<indent> *)(?P<key>[a-z_]+):\s*(?P<value>[^#]*?)\s*(?:#\s*(?P<comment>.*))?", line)
        if match is None:
            continue
        outer = outer if match["indent"] else match["key"]
        name = f"{outer}.{match['key']}" if match["indent"] else match["key"]
        rows.append([code(name), match["value"], valid_range(outer, match["key"], bool(match["indent"])), match["comment"] or ""])
    return rows


def valid_range(outer: str, key: str, inner: bool) -> str:
    """What the reader of the file accepts."""
    if outer in safety_config._SCALARS:
        return "{:g} to {:g}".format(*safety_config._SCALARS[outer])
    if not inner:
        return ""
    if outer in ("clearance", "contact"):
        bounds = {**safety_config._CLEARANCE, **safety_config._CONTACT, "torque_nm": safety_config._TORQUE_NM}
        return "{:g} to {:g}".format(*bounds[key])
    if outer == "world_model":
        return "{:g} to {:g}".format(*safety_config._WORLD_MODEL[key]) if key in safety_config._WORLD_MODEL else "true, false"
    if outer == "deadman":
        return "{:g} to {:g} s".format(*safety_config._DEADMAN_S) if key == "age_s" else "names"
    if outer in ("operation", "braking"):
        return "{:g} to {:g}".format(*safety_config.share_bounds(outer, key))
    return "{:g} to {:g} s".format(*safety_config._TIMEOUT_S)


# --- README


def readme_sections(modules: dict[str, ModuleType]) -> dict[str, str]:
    """The generated parts of README.md, by the name in their marks."""
    nodes = [[f"[`{n}`](docs/reference/nodes.md#{n})", summary(n, m)] for n, m in modules.items()]
    topics = [[code(t.name), code(t.type), t.rate, t.publishers, t.meaning] for t in TOPICS]
    arguments = [
        [code(a.name), code(default_text(a) or '""'), a.description or ""]
        for a in declared_arguments(ROOT / "launch" / "demo.launch.xml", os.environ)
    ]
    commands = [[code(f"vla {name}"), (load_command(name).__doc__ or "").partition("\n")[0]] for name in command_names()]
    return {
        "nodes": table(["node", "what it does"], nodes),
        "topics": table(["topic", "type", "rate", "published by", "meaning"], topics),
        "services and actions": table(["service or action", "type", "served by", "meaning"], _served((*SERVICES, *ACTIONS))),
        "launch arguments": table(["argument", "default", "meaning"], arguments),
        "commands": table(["command", "what it does"], commands),
    }


def with_sections(text: str, sections: dict[str, str]) -> str:
    """``text`` with what stands between ``<!-- begin NAME: ... -->`` and ``<!-- end NAME -->`` replaced.

    Raises ValueError for a mark that is missing or there twice.
    """
    for name, section in sections.items():
        found = re.findall(rf"<!-- begin {name}: [^>]*-->\n|<!-- end {name} -->", text)
        if len(found) != 2:
            raise ValueError(f"README.md must hold '<!-- begin {name}: ... -->' and '<!-- end {name} -->' once each.")
        before, rest = text.split(found[0])
        text = f"{before}{found[0]}{section}\n{found[1]}{rest.split(found[1])[1]}"
    return text


def pages() -> dict[Path, str]:
    """Every generated file with its content."""
    modules = node_modules()
    readme = ROOT / "README.md"
    folder = ROOT / "docs" / "reference"
    return {
        folder / "interfaces.md": interfaces_page() + "\n",
        folder / "nodes.md": nodes_page(modules) + "\n",
        folder / "safety.md": safety_page() + "\n",
        readme: with_sections(readme.read_text(encoding="utf-8"), readme_sections(modules)),
    }


def outdated(wanted: dict[Path, str]) -> list[Path]:
    """The files whose content differs."""
    return [path for path, text in wanted.items() if not path.is_file() or path.read_text(encoding="utf-8") != text]


def main() -> int:
    """Write or check; the exit code is 1 when a page is out of date (with --check) and 2 where ROS is missing."""
    parser = argparse.ArgumentParser(description="Write the reference pages from the code.")
    parser.add_argument("--check", action="store_true", help="only say which pages are out of date")
    options = parser.parse_args()
    if importlib.util.find_spec("rclpy") is None:
        print("reference.py reads the nodes, which need ROS; run it after:  . scripts/env.sh", file=sys.stderr)
        return 2
    wanted = pages()
    stale = outdated(wanted)
    for path in stale:
        print(f"{'out of date' if options.check else 'written'}: {path.relative_to(ROOT)}")
        if not options.check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(wanted[path], encoding="utf-8")
    return 1 if options.check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
