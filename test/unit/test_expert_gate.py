"""The scripted expert behind the real safety gate: everything it sends is taken, and played at full speed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from expert_bench import HOME, Bench, pick, place, scene, thing

from vla_ros.core.actions import SafetyAction
from vla_ros.core.scene import CameraFault, CameraHealth
from vla_ros.core.tasks import Plan, Relation
from vla_ros.experts.policy import ExpertStatus, holds_expert
from vla_ros.experts.registry import build_expert
from vla_ros.robots import load_robot
from vla_ros.safety.config import load_safety_config
from vla_ros.safety.gate import Gate
from vla_ros.simulation.joint_trajectory_controller import JointTrajectoryController


class GateBench(Bench):
    """The bench with the gate in place of its own rule, and an arm that follows perfectly."""

    def __init__(self, arm, expert, world):
        super().__init__(arm, expert, world)
        self.safety = load_safety_config("panda").without_world_model().without_blind_zones()
        self.gate = Gate(arm, self.safety)
        self.controller = JointTrajectoryController(arm.config.arm_joints, arm.config.home_rad)
        self.chunks, self.decisions, self.scales = {}, [], []
        self.camera = CameraFault.OK
        self._wanted_m = self.width_m
        for _ in range(10):
            self.tick()

    def tick(self):
        self._ticks += 1
        self.now_ns += 10_000_000
        self.hear()
        while self._post and self._post[0][0] <= self._ticks:
            chunk = self._post.pop(0)[1]
            self.chunks[chunk.seq] = chunk
            self.decisions.append(self.gate.on_chunk(chunk, self.now_ns))
        command = self.gate.tick(self.now_ns, self.now_ns)
        if command is not None:
            self.controller.accept(command.trajectory, self.now_ns)
            self.chunk, self.row = self.chunks.get(command.chunk_seq), command.chunk_row
            self.scales.append(command.speed_scale)
            self._wanted_m = command.gripper_width_m if np.isfinite(command.gripper_width_m) else self._wanted_m
        self.q = self.controller.sample(self.now_ns).positions
        self.history.append(self.q)
        state = self.gate.state()
        self.hold = state.detail if holds_expert(state) else ""
        self._move_fingers(self._wanted_m)
        self._move_held()

    def begin(self, subtask):
        """As the planner does it: the plan first."""
        self.gate.on_plan(Plan(subtask.description, (subtask,), (subtask.success,), "test"))
        self.expert.begin(subtask, self.observe())

    def hear(self):
        """What the gate listens to."""
        for node in self.safety.nodes:
            self.gate.on_heartbeat(node, self.now_ns)
        self.gate.on_joint_state(self.observe().joints)
        self.gate.on_contact(self.observe().contact)
        usable = self.camera is CameraFault.OK
        if self._ticks % 10 == 0:
            things = tuple(
                replace(o, held=self.held is not None and o.id == self.held.id, last_seen_ns=self.now_ns) for o in self.world.objects
            )
            self.gate.on_scene(replace(self.world, stamp_ns=self.now_ns, objects=things))
        self.gate.on_camera_health(CameraHealth(self.now_ns, "front", self.camera, usable, self.camera.name.lower(), 0.0, 30.0))


@pytest.fixture
def bench():
    arm = load_robot("panda")
    return GateBench(arm, build_expert("scripted", arm), scene(thing("cube_1", 0.5, 0.1, 0.4), thing("bowl_1", 0.45, -0.2)))


def test_a_whole_task_passes_at_full_speed(bench):
    for subtask in (pick(), place(Relation.IN, "bowl_1"), HOME):
        begin = bench.now_ns
        assert bench.run(subtask).status is ExpertStatus.DONE
        assert (bench.now_ns - begin) * 1e-9 < 9.0
    assert {d.action for d in bench.decisions} == {SafetyAction.PASS}
    assert np.linalg.norm(bench.world.get("cube_1").pose.position_m[:2] - [0.45, -0.2]) < 0.005


def test_a_camera_that_goes_black_for_a_while_holds_the_arm_and_the_task_goes_on(bench):
    bench.begin(pick())
    for _ in range(12):
        bench.step()
    bench.camera = CameraFault.BLACK
    for _ in range(10):
        bench.step()
    assert "black" in bench.hold
    np.testing.assert_allclose(bench.history[-1], bench.history[-30], atol=1e-9)
    bench.camera = CameraFault.OK
    while (step := bench.step()).status is ExpertStatus.RUNNING:
        assert bench.now_ns < 60e9
    assert step.status is ExpertStatus.DONE
    assert bench.held is not None


def test_a_slow_override_slows_the_task_but_does_not_break_it(bench):
    bench.gate.set_speed(0.25)
    assert bench.run(pick(), 60.0).status is ExpertStatus.DONE
    assert all(d.action in (SafetyAction.PASS, SafetyAction.SLOW) for d in bench.decisions)


def test_an_emergency_stop_leaves_the_expert_waiting_with_the_reason(bench):
    bench.begin(pick())
    for _ in range(12):
        bench.step()
    bench.gate.estop("the test")
    waiting = [bench.step() for _ in range(10)]
    assert waiting[-1].status is ExpertStatus.RUNNING
    assert waiting[-1].chunk is None
    assert "Emergency stop by the test" in waiting[-1].detail
