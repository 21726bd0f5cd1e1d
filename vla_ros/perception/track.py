"""One object over time: filtered pose and size, the vote on its shape, and what it hangs on while it is held."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from vla_ros.core.geometry import Array, Pose, inverse, rotation_z, transform, transform_points, wrap_angle, yaw_of
from vla_ros.core.scene import SceneObject
from vla_ros.core.things import CONTAINERS, SURFACES
from vla_ros.perception.objects import Detection
from vla_ros.perception.outlines import QUARTER, quarter_turn

HOLLOW = CONTAINERS | SURFACES  # things may stand inside their boxes
WALL_M = 0.025  # of a bowl or plate, with the depth's noise: same-coloured things farther inside are something else
EXPLAINED_M = 0.008  # beyond the remembered box: noise of depth and memory
STILL_MPS = 0.01  # slower is noise
SAME_SIZE_M, NEAR_M = 0.006, 0.012
SIZE_GAIN = 0.15
PIECE = 0.75  # of the remembered extents: what is smaller, and lies on the object, is a part that something else leaves visible
VOTE_MEMORY = 0.99  # per opinion: a shape seen for seconds is not overruled by a few odd views
VELOCITY_GAIN = 0.4
DRIFT_M2_PER_S = 2e-6  # growth of a position's variance while nobody touches it: 1.4 mm after one second
DRIFT_HELD_M2_PER_S = 1e-5


@dataclass
class Track:
    """What is remembered of one object. ``id`` is empty until it is confirmed."""

    colour: str
    T_base_object: Array  # [4, 4]
    size_m: Array  # [3]
    variance_m2: Array  # [3] of the position
    yaw_variance_rad2: float
    confidence: float
    last_seen_ns: int
    updated_ns: int
    id: str = ""
    hits: int = 1
    misses: int = 0  # in a row: unmatched and its place seen empty
    occluded: bool = False
    clear: bool = False  # has been seen whole
    velocity_mps: Array = field(default_factory=lambda: np.zeros(3))
    votes: dict[str, float] = field(default_factory=dict)  # shape -> weight
    T_tcp_object: Array | None = None  # set while it is held
    let_go: bool = False  # released, and not seen since: it may have fallen

    @staticmethod
    def start(detection: Detection, stamp_ns: int) -> Track:
        """A new one, not yet confirmed."""
        variance = np.diag(detection.covariance)
        track = Track(
            detection.colour,
            detection.pose.matrix(),
            detection.size_m.copy(),
            variance[:3].copy(),
            float(variance[5]),
            detection.confidence,
            stamp_ns,
            stamp_ns,
        )
        track.vote(detection)
        return track

    @property
    def held(self) -> bool:
        """Whether it moves with the gripper."""
        return self.T_tcp_object is not None

    @property
    def shape(self) -> str:
        """The word with the most votes."""
        return max(self.votes, key=lambda s: self.votes[s])

    @property
    def name(self) -> str:
        """What people call it: "red cube"."""
        return f"{self.colour} {self.shape}"

    @property
    def position_m(self) -> Array:
        """[3] of its centre, base frame."""
        return np.asarray(self.T_base_object[:3, 3])

    def vote(self, detection: Detection) -> None:
        """Weighs in one more opinion on the shape; old ones fade, so that a wrong first impression is overcome."""
        for shape in self.votes:
            self.votes[shape] *= VOTE_MEMORY
        self.clear |= detection.complete
        weight = (1.0 if detection.complete else 0.1) * (0.05 if detection.shape == "unknown" else 1.0)
        self.votes[detection.shape] = self.votes.get(detection.shape, 0.0) + weight * detection.confidence

    def predict(self, stamp_ns: int, T_base_tcp: Array | None) -> None:
        """To ``stamp_ns``: a held object goes with the gripper, any other stays and becomes less certain."""
        dt = max((stamp_ns - self.updated_ns) * 1e-9, 0.0)
        self.variance_m2 = self.variance_m2 + dt * (DRIFT_HELD_M2_PER_S if self.held else DRIFT_M2_PER_S)
        if self.T_tcp_object is not None and T_base_tcp is not None:
            before = self.position_m.copy()
            self.T_base_object = T_base_tcp @ self.T_tcp_object
            if dt > 0:
                self.velocity_mps = (self.position_m - before) / dt
        self.updated_ns = stamp_ns

    def contains(self, point_m: Array, margin_m: float) -> bool:
        """Whether a point of the base frame lies in its box grown by ``margin_m``."""
        local = inverse(self.T_base_object) @ np.append(point_m, 1.0)
        return bool(np.all(np.abs(local[:3]) < self.size_m / 2 + margin_m))

    def explains(self, detection: Detection) -> bool:
        """True when what was seen lies on this object where it is remembered: a part of it, beside what hides the rest."""
        if detection.colour != self.colour or len(detection.points_m) == 0:
            return False
        local = transform_points(inverse(self.T_base_object), detection.points_m)
        half = self.size_m / 2
        on_it = np.all(np.abs(local) < half + EXPLAINED_M, axis=1)
        if self.shape in HOLLOW:
            in_wall = np.hypot(local[:, 0], local[:, 1]) > half[0] - WALL_M
            on_it &= in_wall | (local[:, 2] < -half[2] + 0.014)
        return bool(np.mean(on_it) > 0.9)

    def correct(self, detection: Detection, stamp_ns: int) -> None:
        """Weighs in a measurement; one that lies beyond what noise explains is believed at once: the thing was moved.

        A partial view that fits the remembered object says only that it is still there: its own centre and shape are worse than
        the memory, unless it has the remembered size (then its top was seen whole, and only a foot is hidden). A piece of an object
        that was seen whole before may pass for a whole one of its own; it lies where the memory says, and is smaller.
        """
        part = self._is_piece(detection) or (not detection.complete and self.explains(detection))
        if part and not self._same_solid(detection):
            self._seen(stamp_ns)
            return
        measured = detection.pose.position_m
        noise = np.diag(detection.covariance)[:3]
        gain = self.variance_m2 / (self.variance_m2 + noise)
        off = measured - self.position_m
        limit = np.maximum(0.008 if detection.complete else 0.02, 3 * np.sqrt(self.variance_m2 + noise))
        moved = bool(np.any(np.abs(off) > limit))
        if moved:
            gain, self.variance_m2 = np.ones(3), noise.copy()
        else:
            self.variance_m2 = np.maximum((1 - gain) * self.variance_m2, 1e-7)
        dt = (stamp_ns - self.last_seen_ns) * 1e-9
        self._turn(detection, moved)
        self.T_base_object[:3, 3] += gain * off
        if dt > 1e-4:
            speed = gain * off / dt if moved or dt < 0.5 else np.zeros(3)
            self.velocity_mps = (1 - VELOCITY_GAIN) * self.velocity_mps + VELOCITY_GAIN * speed
        self.vote(detection)
        if detection.complete:
            self.confidence += 0.3 * (detection.confidence - self.confidence)
        self._seen(stamp_ns)

    def correct_in_hand(self, detection: Detection, stamp_ns: int, T_base_tcp: Array) -> None:
        """A held object that is seen: its place in the hand follows slowly, its orientation stays (fingers hide too much)."""
        if self.T_tcp_object is None:
            return
        self._seen(stamp_ns)
        if detection.shape != self.shape or self.explains(detection):
            return
        off = inverse(T_base_tcp)[:3, :3] @ (detection.pose.position_m - self.position_m)
        self.T_tcp_object[:3, 3] += 0.1 * off
        self.T_base_object = T_base_tcp @ self.T_tcp_object

    def grasp(self, T_base_tcp: Array) -> None:
        """From now on it keeps its place in the hand."""
        self.T_tcp_object = inverse(T_base_tcp) @ self.T_base_object

    def release(self, support_m: float) -> None:
        """Upright under the place where the gripper let go of it, resting on ``support_m`` (height in the base frame)."""
        self.T_tcp_object, self.let_go = None, True
        self.T_base_object[2, 3] = support_m + self.size_m[2] / 2
        yaw = yaw_of(self.T_base_object[:3, :3])
        self.T_base_object = transform(rotation_z(yaw), self.position_m)
        self.velocity_mps = np.zeros(3)
        self.variance_m2 = self.variance_m2 + 0.01**2

    def as_object(self) -> SceneObject:
        """The value that others see; yaw in [-pi/4, pi/4) unless it is held."""
        size = self.size_m.copy()
        if self.held:
            pose = Pose.from_matrix(self.T_base_object)
        else:
            yaw = yaw_of(self.T_base_object[:3, :3])
            if round((yaw - quarter_turn(yaw)) / QUARTER) % 2:
                size[[0, 1]] = size[[1, 0]]
            pose = Pose.upright(self.position_m, quarter_turn(yaw))
        covariance = np.diag([*self.variance_m2, 1e-4, 1e-4, self.yaw_variance_rad2])
        moving = math.hypot(*self.velocity_mps) > STILL_MPS and not self.occluded
        velocity = self.velocity_mps.copy() if moving or self.held else np.zeros(3)
        return SceneObject(
            self.id, self.name, self.colour, self.shape, pose, size, float(self.confidence), self.last_seen_ns,
            covariance, velocity, self.occluded, self.held,
        )  # fmt: skip

    def _turn(self, detection: Detection, moved: bool) -> None:
        """Blends the yaw, of which only the direction of the sides is known, and the size along the matching axes."""
        yaw = yaw_of(self.T_base_object[:3, :3])
        quarters = round(wrap_angle(detection.pose.yaw_rad - yaw) / QUARTER)
        off = wrap_angle(detection.pose.yaw_rad - quarters * QUARTER - yaw)
        size = detection.size_m[[1, 0, 2]] if quarters % 2 else detection.size_m
        noise = float(detection.covariance[5, 5])
        gain = 1.0 if moved else self.yaw_variance_rad2 / (self.yaw_variance_rad2 + noise)
        self.yaw_variance_rad2 = max((1 - gain) * self.yaw_variance_rad2, 1e-5) + 2e-5 if not moved else noise
        self.T_base_object[:3, :3] = rotation_z(yaw + gain * off)
        if detection.complete and detection.shape == self.shape:
            self.size_m = self.size_m + SIZE_GAIN * (size - self.size_m)

    def _is_piece(self, detection: Detection) -> bool:
        """Whether it is much smaller than this object, which was seen whole before, and lies within it."""
        smaller = float(np.prod(detection.size_m[:2])) < PIECE**2 * float(np.prod(self.size_m[:2]))
        return self.clear and smaller and self.contains(detection.pose.position_m, EXPLAINED_M)

    def _same_solid(self, detection: Detection) -> bool:
        off = np.sort(detection.size_m[:2]) - np.sort(self.size_m[:2])
        same_size = np.all(np.abs(off) < SAME_SIZE_M) and abs(detection.size_m[2] - self.size_m[2]) < SAME_SIZE_M
        near = math.dist(detection.pose.position_m, self.position_m) < NEAR_M
        return detection.shape == self.shape and detection.confidence > 0.75 and bool(same_size) and near

    def _seen(self, stamp_ns: int) -> None:
        self.let_go = False
        self.last_seen_ns, self.hits, self.misses, self.occluded = stamp_ns, self.hits + 1, 0, False
