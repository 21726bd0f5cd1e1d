"""One fault after the other while the arm moves: what the safety gate does, how soon, and how the arm comes to rest.

The gate runs alone, in simulated time and without ROS (the tests in test/sim kill the nodes of a whole graph). The exit code is 0 only when
every fault is safe.

Columns: outcome (what became of the motion) and its reason; reaction: from the evidence until the gate stops; rest after: from the
evidence until the arm stands; model: how long that may take, by what is committed and the stop; travel: of the TCP meanwhile. In JSON
also travel_rad, the way of the joint that goes farthest, and contact_n, the force at a contact.
"""

from __future__ import annotations

import argparse
import json
from typing import Any


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which robot, and which faults."""
    parser.add_argument("--robot", default="panda", help="name in config/robots")
    parser.add_argument("--only", default="", metavar="TEXT", help="only faults whose name or reason holds this text")
    parser.add_argument("--list", action="store_true", help="say which faults there are, and try none")
    parser.add_argument("--json", action="store_true", help="print everything as JSON (progress then goes to stderr)")


def run(options: argparse.Namespace) -> int:
    """Go through the matrix and print it."""
    import sys

    from vla_ros.core.errors import ConfigError
    from vla_ros.evaluation.fault_matrix import chosen, run_matrix

    found = chosen(options.robot, options.only)
    if not found:
        raise ConfigError(f"--only '{options.only}': no fault's name or reason holds that text; `vla faults --list` names all of them.")
    if options.list:
        print("\n".join(cell.name for cell in found))
        return 0
    out = sys.stderr if options.json else sys.stdout
    print(HEAD, file=out)
    lines = run_matrix(options.robot, options.only, lambda line: print(_row(line), file=out, flush=True))
    unsafe = sum(not line["safe"] for line in lines)
    if options.json:
        print(json.dumps({"robot": options.robot, "unsafe": unsafe, "cells": lines}, indent=2))
    else:
        print(f"{len(lines)} faults, {unsafe} of them not safe")
    return 0 if unsafe == 0 else 1


HEAD = f"{'fault':44s} {'outcome':8s} {'reason':20s} {'reaction':>9s} {'rest after':>11s} {'model':>8s} {'travel':>8s}"


def _row(line: dict[str, Any]) -> str:
    figures = [("reaction_ms", "ms", 9), ("rest_ms", "ms", 11), ("model_ms", "ms", 8), ("travel_mm", "mm", 8)]
    shown = " ".join(f"{line[key]:{width - 3}.0f} {unit}" if key in line else " " * width for key, unit, width in figures)
    return f"{line['name']:44s} {line['outcome']:8s} {line.get('reason', ''):20s} {shown}  {line['detail']}".rstrip()
