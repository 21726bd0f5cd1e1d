"""One seed of an evaluation: scene sampled, goal sent, both judgements taken, measures read from the bag."""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vla_ros.cli.fresh_scene import FreshScene
from vla_ros.cli.graph import Graph
from vla_ros.cli.running_graph import RunningGraph
from vla_ros.core.errors import DataError
from vla_ros.core.outcomes import Outcome
from vla_ros.core.tasks import Predicate
from vla_ros.data.bag_signals import read_run_signals
from vla_ros.data.run_folder import RunFolder
from vla_ros.evaluation.episodes import EpisodeRow
from vla_ros.evaluation.measures import Measures, measure
from vla_ros.robots import Arm
from vla_ros.ros.interfaces import EXECUTE_GOAL, SIM_SCORE, load_type

SCORE_DELAY_S = 0.5  # after the result, before the scorer looks
NOT_MEASURED = Measures(
    duration_s=math.nan,
    path_length_m=math.nan,
    margin_position_rad=math.nan,
    margin_workspace_m=math.nan,
    peak_speed=math.nan,
    peak_force_n=math.nan,
    peak_jerk_radps3=math.nan,
    rms_jerk_radps3=math.nan,
    interventions=0,
    recoveries=0,
)


class SeedRunner:
    """Runs seeds one after the other in one graph; ``truth`` is what the simulator's scorer is asked, by the names of things."""

    def __init__(
        self,
        graph: Graph,
        running: RunningGraph,
        arm: Arm,
        truth: Sequence[Predicate],
        instruction: str,
        time_limit_s: float,
        *,
        keep_bags: bool,
    ) -> None:
        self._graph, self._running, self._arm = graph, running, arm
        self._truth, self._instruction, self._time_limit_s = truth, instruction, time_limit_s
        self._keep_bags = keep_bags
        self._kept_success = False
        self._scene = FreshScene(graph, running)

    def run(self, seed: int) -> EpisodeRow:
        """Raises VlaRosError when the graph is gone or does not become ready."""
        self._scene.sample(seed)
        goal = load_type(EXECUTE_GOAL.type).Goal(instruction=self._instruction, time_limit=self._time_limit_s)
        result = self._graph.send(EXECUTE_GOAL, goal).wait(self._time_limit_s + 60.0, meanwhile=self._running.check)
        self._scene.wait(SCORE_DELAY_S)
        score = self._score()
        measures = self._measure(result.run_folder)
        row = self._row(seed, result, score, measures)
        self._tidy(row)
        return row

    def _score(self) -> Any:
        predicates = self._truth
        return self._graph.call(
            SIM_SCORE,
            relations=[p.relation.value for p in predicates],
            object_names=[p.object_id for p in predicates],
            target_names=[p.target_id for p in predicates],
        )

    def _measure(self, run_folder: str) -> Measures | None:
        if not run_folder:
            return None
        config = self._arm.config
        try:
            signals = read_run_signals(RunFolder(Path(run_folder)).bag, config.arm_joints, config.gripper.binding)
            return measure(signals, config.limits, config.workspace, self._arm.fk)
        except DataError:
            return None  # the row then says null: the bag could not be read, and is kept

    def _row(self, seed: int, result: Any, score: Any, measures: Measures | None) -> EpisodeRow:
        m = measures or NOT_MEASURED
        return EpisodeRow(
            seed=seed,
            succeeded=bool(result.verified),
            scorer_succeeded=bool(score.success) if len(score.holds) else None,
            outcome=Outcome(result.outcome).word,
            reason=result.reason,
            message=result.message + ("" if score.success == result.verified else f" Scorer: {score.message}"),
            time_s=float(result.duration),
            path_length_m=m.path_length_m,
            margin_position_rad=m.margin_position_rad,
            margin_workspace_m=m.margin_workspace_m,
            peak_force_n=max(m.peak_force_n, float(score.peak_contact_force))
            if math.isfinite(m.peak_force_n)
            else float(score.peak_contact_force),
            peak_jerk_radps3=m.peak_jerk_radps3,
            rms_jerk_radps3=m.rms_jerk_radps3,
            recoveries=int(result.recoveries),
            interventions=m.interventions if measures else int(result.safety_interventions),
            run_folder=result.run_folder,
        )

    def _tidy(self, row: EpisodeRow) -> None:
        """Bags of failures and of the first success stay."""
        good = row.succeeded and row.scorer_succeeded is not False
        if good and self._kept_success and not self._keep_bags and row.run_folder:
            shutil.rmtree(RunFolder(Path(row.run_folder)).bag, ignore_errors=True)
        self._kept_success = self._kept_success or good
