"""What the gate costs a good policy: the same scenes with the gate and without it, in one process, without ROS.

    python -m vla_ros.evaluation.gate_price --goal put_red_in_blue --seeds 0-199 --out runs/gate_price.jsonl

Each finished pair is appended to the file; started again with the same file it goes on from there. Nothing is in the way in these scenes:
whenever the gate holds or stops the arm between a goal's start and its end, that is a false stop, whether or not a chunk was followed.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import binomtest, chi2

from vla_ros.core.errors import VlaRosError
from vla_ros.evaluation.core_loop import CoreLoop, SeedResult
from vla_ros.evaluation.goals import parse_goal
from vla_ros.evaluation.seeds import parse_seeds
from vla_ros.evaluation.statistics import wilson_interval


@dataclass(frozen=True)
class Price:
    """Of a set of pairs, as dictionaries with the keys of ``_row``."""

    pairs: Sequence[dict[str, Any]]

    def summary(self) -> dict[str, Any]:
        """Success with and without, the pairs that differ, and the times of those pairs that both did."""
        on, off = (np.array([pair[side]["succeeded"] for pair in self.pairs], dtype=bool) for side in ("on", "off"))
        lost, gained = int((off & ~on).sum()), int((on & ~off).sum())
        both = [pair for pair in self.pairs if pair["on"]["succeeded"] and pair["off"]["succeeded"]]
        stops = [stop for pair in self.pairs for stop in pair["on"]["stops"]]
        hours = sum(pair["on"]["robot_s"] for pair in self.pairs) / 3600
        times = {side: float(np.median([pair[side]["robot_s"] for pair in both])) if both else float("nan") for side in ("on", "off")}
        return {
            "pairs": len(self.pairs),
            "succeeded_on": int(on.sum()),
            "succeeded_off": int(off.sum()),
            "interval_95_on": wilson_interval(int(on.sum()), len(on)),
            "interval_95_off": wilson_interval(int(off.sum()), len(off)),
            "lost_by_the_gate": lost,
            "gained_by_the_gate": gained,
            "mcnemar_p": float(binomtest(lost, lost + gained, 0.5).pvalue) if lost + gained else 1.0,
            "median_s_on": times["on"],
            "median_s_off": times["off"],
            "time_ratio": times["on"] / times["off"] if both else float("nan"),
            "touched_on": sum(bool(pair["on"]["touched"]) for pair in self.pairs),
            "touched_off": sum(bool(pair["off"]["touched"]) for pair in self.pairs),
            "hours_on": hours,
            "false_stops": dict(Counter(stop.split(":")[0] for stop in stops)),
            "false_stops_per_hour": len(stops) / hours if hours else float("nan"),
            "false_stops_per_hour_below_95": most_per_hour(len(stops), hours),
            "lost_seeds": {
                pair["seed"]: pair["on"]["detail"] for pair in self.pairs if pair["off"]["succeeded"] and not pair["on"]["succeeded"]
            },
        }


def most_per_hour(events: int, hours: float, confidence: float = 0.95) -> float:
    """The rate above which so few events in so many hours would be rarer than 1 - ``confidence`` (Poisson, one-sided; Garwood 1936)."""
    return float(chi2.ppf(confidence, 2 * (events + 1))) / 2 / hours if hours else float("inf")


def _row(result: SeedResult) -> dict[str, Any]:
    return {
        "succeeded": result.succeeded,
        "robot_s": result.robot_s,
        "recoveries": result.recoveries,
        "refused": len(result.refused),
        "stops": list(result.stops),
        "touched": list(result.collisions),
        "detail": result.detail,
    }


def finished_pairs(path: Path, what: dict[str, str], seeds: Sequence[int]) -> list[dict[str, Any]]:
    """The pairs of an earlier run of ``what`` (goal, robot, scene); a last line that was cut while it was written is left out."""
    lines = path.read_text(encoding="utf-8").split("\n") if path.exists() else []
    pairs = [json.loads(line) for line in lines if line.endswith("}}")]
    return [pair for pair in pairs if what.items() <= pair.items() and pair["seed"] in set(seeds)]


def main(arguments: list[str] | None = None) -> int:
    """0 when every pair was run, 2 when it could not start."""
    parser = argparse.ArgumentParser(description="Compares the same scenes with the safety gate and without it.")
    parser.add_argument("--goal", default="put_red_in_blue", help='or stack_green_on_yellow, or such as "red cube left_of blue bowl"')
    parser.add_argument("--seeds", default="0-199", help="such as 0-19,25")
    parser.add_argument("--robot", default="panda")
    parser.add_argument("--scene", default="tabletop")
    parser.add_argument("--out", type=Path, default=Path("gate_price.jsonl"), help="file that finished pairs are appended to")
    options = parser.parse_args(arguments)
    try:
        goal, seeds = parse_goal(options.goal), parse_seeds(options.seeds)
        what = {"goal": options.goal, "robot": options.robot, "scene": options.scene}
        pairs = finished_pairs(options.out, what, seeds)
        loops = {side: CoreLoop(options.robot, options.scene, gated=side == "on") for side in ("on", "off")}
        options.out.parent.mkdir(parents=True, exist_ok=True)
        with options.out.open("a", encoding="utf-8") as file:
            file.write("\n" if file.tell() else "")  # the last line may have been cut
            for seed in [s for s in seeds if s not in {pair["seed"] for pair in pairs}]:
                pair = {**what, "seed": seed, **{side: _row(loop.run(goal, seed)) for side, loop in loops.items()}}
                pairs.append(pair)
                file.write(json.dumps(pair) + "\n")
                file.flush()
                sides = ", ".join(f"{side} {'yes' if pair[side]['succeeded'] else 'NO'} {pair[side]['robot_s']:.1f} s" for side in loops)
                print(f"{len(pairs)} of {len(seeds)}: seed {seed}: {sides}", file=sys.stderr, flush=True)
    except VlaRosError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(json.dumps(Price(pairs).summary(), indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
