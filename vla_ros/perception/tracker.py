"""Objects that keep their ids: association, memory of what is hidden, and what the gripper carries."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from vla_ros.core.geometry import Array, inverse
from vla_ros.core.scene import Scene, SceneObject
from vla_ros.perception.objects import Detection
from vla_ros.perception.occlusion import Visibility
from vla_ros.perception.track import HOLLOW, Track

FORBIDDEN = 1e3  # cost of a pair that must not be made


@dataclass(frozen=True)
class TrackerConfig:
    """When two things are the same, and how long an unseen one is remembered."""

    frame_id: str = "world"  # of the detections, and so of the scene
    gate_m: float = 0.06  # between a track and its next detection
    shape_penalty_m: float = 0.02  # of a pair whose shapes differ: as if it were that much farther apart
    confirm_hits: int = 2
    confirm_hits_unclear: int = 8  # of what is partly hidden or of unknown shape: time to see it better before it gets an id
    empty_frames: int = 5  # in a row, then it is gone
    hidden_half_life_s: float = 120.0  # of the confidence of what is hidden
    unexplained_half_life_s: float = 5.0  # of what should be in view, where a surface is but not its colour
    min_confidence: float = 0.12  # below it an unseen object is forgotten
    grasp_reach_m: float = 0.02  # the TCP is this near to the box of what is grasped
    release_updates: int = 2  # without touch, in a row


@dataclass(frozen=True)
class Grip:
    """What the hand says: where the TCP is, and whether both fingers feel something between them."""

    T_base_tcp: Array
    holding: bool


class SceneTracker:
    """Feed it each image's detections; it answers with the scene."""

    def __init__(self, config: TrackerConfig | None = None) -> None:
        self._config = config or TrackerConfig()
        self._tracks: list[Track] = []
        self._counts: Counter[str] = Counter()
        self._stamp_ns = 0
        self._loose_updates = 0
        self._table_m = 0.0

    def reset(self) -> None:
        """Forgets everything; ids start again at 1."""
        self._tracks, self._counts, self._stamp_ns, self._loose_updates = [], Counter(), 0, 0

    @property
    def held(self) -> Track | None:
        """What the gripper carries."""
        return next((t for t in self._tracks if t.held), None)

    def _predict(self, stamp_ns: int, grip: Grip | None) -> None:
        """Brings all objects to an image's stamp, before its detections are made; begins or ends a grasp."""
        for track in self._tracks:
            track.predict(stamp_ns, grip.T_base_tcp if grip else None)
        if grip is not None:
            self._grasp(grip)

    def update(
        self,
        detections: Sequence[Detection],
        stamp_ns: int,
        *,
        visibility: Callable[[Array, Array, bool], Visibility] | None = None,
        grip: Grip | None = None,
        table_height_m: float = 0.0,
    ) -> Scene:
        """The scene at ``stamp_ns``. Without ``visibility`` what is not detected counts as seen empty."""
        elapsed_s = (stamp_ns - self._stamp_ns) * 1e-9 if self._stamp_ns else 0.0
        if elapsed_s < 0:
            self.reset()  # time has jumped back: the simulation was restarted
            elapsed_s = 0.0
        self._stamp_ns, self._table_m = stamp_ns, table_height_m
        self._predict(stamp_ns, grip)
        free = self._match(list(detections), stamp_ns, grip)
        unseen = [t for t in self._tracks if t.last_seen_ns != stamp_ns]
        places = {id(t): self._look(t, visibility) for t in unseen}
        free = self._find_again(free, [t for t in unseen if t.let_go or places[id(t)] is Visibility.EMPTY], stamp_ns)
        for track in unseen:
            if track.last_seen_ns != stamp_ns:
                self._remember(track, places[id(track)], elapsed_s)
        self._tracks = [t for t in self._tracks if self._alive(t)]
        self._begin(free, stamp_ns)
        objects = tuple(t.as_object() for t in self._tracks if t.id)
        return Scene(stamp_ns, self._config.frame_id, tuple(sorted(objects, key=_by_id)), table_height_m)

    def _match(self, detections: list[Detection], stamp_ns: int, grip: Grip | None) -> list[Detection]:
        """Corrects tracks by the detections nearest to them; returns those that belong to none."""
        if not self._tracks or not detections:
            return detections
        cost = np.array([[self._cost(track, d) for d in detections] for track in self._tracks])
        used = set()
        for i, j in zip(*linear_sum_assignment(cost), strict=True):
            if cost[i, j] < FORBIDDEN:
                self._correct(self._tracks[i], detections[j], stamp_ns, grip)
                used.add(j)
        return [d for j, d in enumerate(detections) if j not in used and not self._is_fragment(d)]

    def _cost(self, track: Track, detection: Detection) -> float:
        if detection.colour != track.colour:
            return FORBIDDEN
        distance = math.dist(detection.pose.position_m, track.position_m)
        reach = self._config.gate_m + 3 * math.sqrt(track.variance_m2.max())
        if not detection.complete and track.explains(detection):
            return min(distance, self._config.gate_m / 2)
        if distance > reach:
            return FORBIDDEN
        return distance + (self._config.shape_penalty_m if detection.shape != track.shape else 0.0)

    @staticmethod
    def _correct(track: Track, detection: Detection, stamp_ns: int, grip: Grip | None) -> None:
        if track.held and grip is not None:
            track.correct_in_hand(detection, stamp_ns, grip.T_base_tcp)
        else:
            track.correct(detection, stamp_ns)

    def _is_fragment(self, detection: Detection) -> bool:
        """True for a piece of something that is tracked already."""
        return any(
            t.explains(detection) or (t.shape not in HOLLOW and t.contains(detection.pose.position_m, 0.012))
            for t in self._tracks
            if t.colour == detection.colour
        )

    def _find_again(self, free: list[Detection], gone: list[Track], stamp_ns: int) -> list[Detection]:
        """A track whose place is seen empty, or that was let go of, takes a new detection of its own name: it was moved unseen, or fell."""
        rest = []
        for detection in free:
            fitting = [t for t in gone if t.name == detection.name and t.last_seen_ns != stamp_ns]
            if not fitting or detection.confidence < 0.5:
                rest.append(detection)
                continue
            track = min(fitting, key=lambda t: float(np.linalg.norm(t.position_m - detection.pose.position_m)))
            if track.held:
                track.release(self._support(track))
            track.correct(detection, stamp_ns)
        return rest

    def _support(self, track: Track) -> float:
        """Height of what lies below: the table, or the highest other object under its centre."""
        bottom = float(track.position_m[2] - track.size_m[2] / 2)
        heights = [self._table_m]
        for other in self._tracks:
            reach = float(other.size_m[:2].min()) / 2
            top = float(other.position_m[2] + other.size_m[2] / 2)
            under = float(np.linalg.norm(other.position_m[:2] - track.position_m[:2])) < reach and top < bottom + 0.012
            if other is not track and under and other.shape not in HOLLOW:
                heights.append(top)
        return max(heights)

    @staticmethod
    def _look(track: Track, visibility: Callable[[Array, Array, bool], Visibility] | None) -> Visibility:
        return visibility(track.T_base_object, track.size_m, track.shape in HOLLOW) if visibility else Visibility.EMPTY

    def _remember(self, track: Track, place: Visibility, elapsed_s: float) -> None:
        """An object that was not detected: hidden (kept), held (kept), unexplained (fades), or its place is empty (counted)."""
        c = self._config
        track.occluded = True
        track.misses = track.misses + 1 if place is Visibility.EMPTY and not track.held else 0
        half_life = c.unexplained_half_life_s if place is Visibility.OCCUPIED and not track.held else c.hidden_half_life_s
        track.confidence *= 0.5 ** (elapsed_s / half_life)

    def _alive(self, track: Track) -> bool:
        if not track.id:
            return track.misses == 0 and track.confidence > self._config.min_confidence
        return track.held or (track.misses < self._config.empty_frames and track.confidence > self._config.min_confidence)

    def _begin(self, free: Sequence[Detection], stamp_ns: int) -> None:
        self._tracks += [Track.start(d, stamp_ns) for d in free if d.confidence >= 0.25]
        new = [t for t in self._tracks if not t.id and t.hits >= self._hits_needed(t)]
        for track in sorted(new, key=lambda t: (t.shape, t.colour, -t.position_m[1])):
            self._counts[track.shape] += 1
            track.id = f"{track.shape}_{self._counts[track.shape]}"

    def _hits_needed(self, track: Track) -> int:
        return self._config.confirm_hits if track.clear and track.shape != "unknown" else self._config.confirm_hits_unclear

    def _grasp(self, grip: Grip) -> None:
        """Begins to hold what is between the fingers when they feel something; ends it when they have not for a while."""
        held = self.held
        if held is not None:
            self._loose_updates = 0 if grip.holding else self._loose_updates + 1
            if self._loose_updates >= self._config.release_updates:
                held.release(self._support(held))
            return
        self._loose_updates = 0
        tcp_m = grip.T_base_tcp[:3, 3]
        reached = [t for t in self._tracks if t.id and t.contains(tcp_m, self._config.grasp_reach_m)] if grip.holding else []
        graspable = [t for t in reached if t.shape not in HOLLOW] or [t for t in reached if _at_rim(t, grip)]
        if graspable:
            min(graspable, key=lambda t: float(np.linalg.norm(t.position_m - tcp_m))).grasp(grip.T_base_tcp)


def _at_rim(track: Track, grip: Grip) -> bool:
    """True when the TCP is at the wall of a bowl or plate."""
    local = (inverse(track.T_base_object) @ grip.T_base_tcp)[:3, 3]
    return bool(np.hypot(local[0], local[1]) > track.size_m[0] / 2 - 0.03)


def _by_id(o: SceneObject) -> tuple[str, int]:
    shape, _, number = o.id.rpartition("_")
    return shape, int(number)
