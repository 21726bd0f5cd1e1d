"""Renders beside the physics: copies of the state go in, images come out, in a thread that owns the OpenGL context."""

from __future__ import annotations

import threading
from collections.abc import Callable

import mujoco

from vla_ros.core.errors import SimulationError
from vla_ros.core.stamps import ns_from_s
from vla_ros.simulation.cameras import CameraImage, CameraRenderer
from vla_ros.simulation.world import World

START_TIMEOUT_S = 20.0
MOST_LATE = 2  # pictures that are caught up on; beyond that they are left out, and counted


class CameraThread:
    """``offer`` the state at each tick: when a picture is due it is copied, and ``publish`` gets all cameras' images of that instant."""

    def __init__(self, world: World, publish: Callable[[CameraImage], None], *, sensor_noise: bool = False) -> None:
        self._world = world
        self._publish = publish
        self._noise = sensor_noise
        rates = {c.rate_hz for c in world.robot.cameras.values()}
        self._period_ns = ns_from_s(1.0 / max(rates)) if rates else 0
        self._state = mujoco.MjData(world.model)
        self._stamp_ns = 0
        self._due_ns = 0
        self._condition = threading.Condition()
        self._waiting = False
        self._stopping = False
        self._error: Exception | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="cameras", daemon=True)
        self.skipped = 0  # pictures not taken because the one before was not finished

    def start(self) -> None:
        """Raises SimulationError when there is no OpenGL."""
        self._thread.start()
        self._ready.wait(START_TIMEOUT_S)
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        """Ends the thread after the pictures being rendered, waiting at most 2 s."""
        with self._condition:
            self._stopping = True
            self._condition.notify()
        if self._thread.is_alive():
            self._thread.join(timeout=2.0)

    def offer(self, data: mujoco.MjData, stamp_ns: int) -> None:
        """Copies ``data`` when a picture is due; the caller sees to it that ``data`` does not change meanwhile."""
        if stamp_ns < self._due_ns or self._period_ns == 0:
            return
        with self._condition:
            if self._waiting:  # the last picture is not finished: this one is taken at the next tick, its place in time kept
                return
            late = (stamp_ns - self._due_ns) // self._period_ns if self._due_ns else 0
            self.skipped += max(late - MOST_LATE, 0)
            self._due_ns = stamp_ns + self._period_ns if late > MOST_LATE or not self._due_ns else self._due_ns + self._period_ns
            mujoco.mj_copyState(self._world.model, data, self._state, mujoco.mjtState.mjSTATE_FULLPHYSICS)
            self._stamp_ns = stamp_ns
            self._waiting = True
            self._condition.notify()

    def _run(self) -> None:
        try:
            renderer = CameraRenderer(self._world, sensor_noise=self._noise)
        except SimulationError as error:
            self._error = error
            return
        finally:
            self._ready.set()
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._waiting or self._stopping)
                if self._stopping:
                    break
            mujoco.mj_kinematics(self._world.model, self._state)
            mujoco.mj_comPos(self._world.model, self._state)
            mujoco.mj_camlight(self._world.model, self._state)
            for name in self._world.robot.cameras:
                self._publish(renderer.render(name, self._stamp_ns, self._state))
            with self._condition:
                self._waiting = False
        renderer.close()
