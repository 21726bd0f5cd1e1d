"""What an episode did to the world: forces on the arm, collisions, things dropped or pushed off the table. For evaluation only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vla_ros.simulation.robot import SimRobot

DROP_SPEED_MPS = 1.0  # an object that was held and falls so fast was dropped from 5 cm or more, not put down
OFF_TABLE_M = -0.05  # an object below the table's top has left it
FORGET_NS = 500_000_000  # a link that touches again within this time is still in the same collision


@dataclass(frozen=True)
class EpisodeMeasures:
    """Figures of one episode; bodies and objects by name."""

    peak_link_force_n: float  # of all contacts on one link of the arm or hand (the fingers do not count) at one time
    peak_finger_force_n: float  # the same for the fingers
    collisions: tuple[str, ...]  # "panda_hand with blue_bowl", in order; fingers may touch objects, nothing else
    dropped: tuple[str, ...]  # keys
    off_table: tuple[str, ...]  # keys


class EpisodeMeter:
    """Watches a SimRobot: call ``observe`` once per tick."""

    def __init__(self, robot: SimRobot) -> None:
        self._robot = robot
        world = robot.world
        self._objects = set(world.specs)
        self._fingers = {config.link for config in robot.config.tactile.values()}
        self._links = set(world.body_names) - self._objects - {"world", "table"}
        self._is_link = np.array([name in self._links for name in world.body_names])
        self.reset()

    def reset(self) -> None:
        """A new episode begins."""
        self._peak = {"links": 0.0, "fingers": 0.0}
        self._last_seen: dict[tuple[str, str], int] = {}
        self._collisions: list[str] = []
        self._held: set[str] = set()
        self._dropped: list[str] = []

    def observe(self) -> None:
        """Takes note of the present contacts."""
        if not self._held and not self._is_link[self._robot.world.touching_bodies()].any():
            return
        forces: dict[str, float] = {}
        touched: dict[str, set[str]] = {}
        for contact in self._robot.world.contacts():
            for body, other in ((contact.body1, contact.body2), (contact.body2, contact.body1)):
                touched.setdefault(body, set()).add(other)
                if body in self._links:
                    forces[body] = forces.get(body, 0.0) + float(np.linalg.norm(contact.force_n))
        for body, force in forces.items():
            part = "fingers" if body in self._fingers else "links"
            self._peak[part] = max(self._peak[part], force)
        self._note_collisions(touched)
        self._note_drops(touched)

    def _note_collisions(self, touched: dict[str, set[str]]) -> None:
        now = self._robot.now_ns
        for link in sorted(self._links & touched.keys()):
            allowed = self._objects | self._fingers if link in self._fingers else set()
            for other in sorted(touched[link] - allowed):
                pair = (min(link, other), max(link, other)) if other in self._links else (link, other)
                if now - self._last_seen.get(pair, -FORGET_NS - 1) > FORGET_NS:
                    self._collisions.append(f"{pair[0]} with {pair[1]}")
                self._last_seen[pair] = now

    def _note_drops(self, touched: dict[str, set[str]]) -> None:
        for key in self._objects:
            around = touched.get(key, set())
            if self._fingers <= around:
                self._held.add(key)
            elif around:  # it rests on, or hits, something
                self._held.discard(key)
            elif key in self._held and self._robot.world.object_velocity(key)[0][2] < -DROP_SPEED_MPS:
                self._held.discard(key)
                self._dropped.append(key)

    def measures(self) -> EpisodeMeasures:
        """The figures since the last reset."""
        off = tuple(key for key in self._robot.world.specs if self._robot.world.object_pose(key).position_m[2] < OFF_TABLE_M)
        return EpisodeMeasures(self._peak["links"], self._peak["fingers"], tuple(self._collisions), tuple(self._dropped), off)
