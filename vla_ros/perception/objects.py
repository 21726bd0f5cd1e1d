"""What stands on the table: pixels above it, grouped by colour, each group described as one solid."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from vla_ros.core.geometry import Array, Pose
from vla_ros.perception.colours import NONE, colour_classes, colour_word
from vla_ros.perception.depth import Cloud, Image, Mask
from vla_ros.perception.shapes import ShapeLimits, Solid, View, describe
from vla_ros.perception.table import TablePlane
from vla_ros.perception.volume import Volume

_SMALL, _WIDE = np.ones((3, 3), np.uint8), np.ones((7, 7), np.uint8)
Grey = NDArray[np.uint8]
KEPT_POINTS = 100
BLOCKING_MM = 12  # what lies no farther than this behind the outline may hide its rest
JUMP_MM = 11  # neighbours that differ more in depth lie on different things


@dataclass(frozen=True)
class Detection:
    """One thing in one image; the base of tracking. ``pose`` is the centre of its box in the base frame."""

    colour: str
    shape: str
    pose: Pose
    size_m: Array  # [3] full extents along the pose's axes
    covariance: Array  # [6, 6] of x y z [m2] and rotation about x y z [rad2]
    confidence: float  # 0-1
    complete: bool  # False: a part is hidden or cut off, size and centre are completed or too small
    points_m: Array  # [n, 3] some of its visible points, base frame

    @property
    def name(self) -> str:
        """What people call it: "red cube"."""
        return f"{self.colour} {self.shape}"


@dataclass(frozen=True)
class Frame:
    """Everything of one image that detection works on; all images are of the cloud's region."""

    colour: Image  # [h, w, 3] RGB
    cloud: Cloud
    robot: Mask  # [h, w]
    table: TablePlane
    camera_m: Array  # [3] the camera's centre, base frame
    focal_px: float


class Detector(Protocol):
    """The seam for other detectors (a learned one, for instance)."""

    def detect(self, frame: Frame) -> list[Detection]:
        """Everything in the frame that is not the robot."""
        ...


@dataclass(frozen=True)
class DetectorConfig:
    """Where to look and what is too small. Base frame, m."""

    region_min_m: tuple[float, float] = (0.25, -0.42)
    region_max_m: tuple[float, float] = (0.75, 0.42)
    min_height_m: float = 0.006  # above the table: what noise of the depth does not reach
    max_height_m: float = 0.60
    min_pixels: int = 40
    min_extent_m: float = 0.012
    max_extent_m: float = 0.35
    merge_distance_m: float = 0.20  # pieces of one thing of the same colour lie this near
    max_points: int = 700  # of one thing; more are thinned
    limits: ShapeLimits = field(default_factory=ShapeLimits)


@dataclass
class _Piece:
    """Pixels of one colour that hang together."""

    colour_class: int
    rows: NDArray[np.intp]
    columns: NDArray[np.intp]

    def joined(self, other: _Piece) -> _Piece:
        return _Piece(self.colour_class, np.concatenate([self.rows, other.rows]), np.concatenate([self.columns, other.columns]))


class ColourDetector:
    """Finds things by colour and height; needs no training and takes a few milliseconds."""

    def __init__(self, config: DetectorConfig | None = None) -> None:
        self._config = c = config or DetectorConfig()
        self._volume = Volume((c.min_height_m, c.max_height_m), c.region_min_m, c.region_max_m)

    def detect(self, frame: Frame) -> list[Detection]:
        """Everything that stands above the table inside the region, one detection for each thing of one colour."""
        above = self._volume.holds(frame.cloud.depth_mm, frame.cloud.rays, frame.table)
        above *= ~frame.robot
        pieces = self._pieces(frame, above)
        found = [(piece, self._describe(frame, piece, above)) for piece in pieces]
        found = self._merge(frame, found, above)
        detections = [self._detection(frame, piece, view, solid) for piece, (view, solid) in found]
        return [d for d in detections if d is not None]

    def _pieces(self, frame: Frame, above: Grey) -> list[_Piece]:
        """Connected pixels of one colour without a step in depth; only the part of the image that holds anything is looked at."""
        u0, v0, width, height = cv2.boundingRect(above)
        if width < 3 or height < 3:
            return []
        window = slice(v0, v0 + height), slice(u0, u0 + width)
        pixels = np.flatnonzero(above[window] > 0)  # of booleans, it is several times as fast
        labels = np.zeros((height, width), dtype=np.uint8)
        labels.reshape(-1)[pixels] = colour_classes(frame.colour[window], pixels) + 1
        _cut_steps(labels, frame.cloud.depth_mm[window])
        pieces = []
        for piece in _components(labels, pixels, self._config.min_pixels):
            rows, columns = np.divmod(piece, width)
            pieces.append(_Piece(int(labels.flat[piece[0]]) - 1, rows + v0, columns + u0))
        return pieces

    def _describe(self, frame: Frame, piece: _Piece, above: Grey) -> tuple[View, Solid]:
        step = max(1, len(piece.rows) // self._config.max_points)
        width = frame.cloud.depth_mm.shape[1]
        points = frame.cloud.points(piece.rows[::step] * width + piece.columns[::step]).T.astype(float)
        middle = points.sum(axis=0) / len(points)
        pixel_m = math.dist(middle, frame.camera_m) / frame.focal_px
        hidden, cut = self._outline(frame, piece, above)
        view = View(points, frame.table.height_at(middle[0], middle[1]), frame.camera_m[:2], pixel_m, hidden, cut)
        return view, describe(view, self._config.limits)

    def _outline(self, frame: Frame, piece: _Piece, above: Grey) -> tuple[float, bool]:
        """Part of the outline where something else begins that is not farther away, and whether it touches the image's edge."""
        height, width = above.shape
        v0, v1 = max(int(piece.rows.min()) - 4, 0), min(int(piece.rows.max()) + 5, height)
        u0, u1 = max(int(piece.columns.min()) - 4, 0), min(int(piece.columns.max()) + 5, width)
        window = slice(v0, v1), slice(u0, u1)
        own = np.zeros((v1 - v0, u1 - u0), dtype=np.uint8)
        own[piece.rows - v0, piece.columns - u0] = 255
        depth = frame.cloud.depth_mm[window]
        beside = cv2.dilate(cv2.copyTo(depth, own), _WIDE)
        rim = cv2.dilate(own, _SMALL)  # pixels in which two colours mix belong to nobody
        ring = (beside > 0) & (rim == 0)
        blocking = ring & ((above[window] > 0) | frame.robot[window]) & (depth < beside + BLOCKING_MM)
        cut = v0 == 0 or u0 == 0 or v1 == height or u1 == width
        return int(np.count_nonzero(blocking)) / max(int(np.count_nonzero(ring)), 1), cut

    def _merge(self, frame: Frame, found: list[tuple[_Piece, tuple[View, Solid]]], above: Grey) -> list[tuple[_Piece, tuple[View, Solid]]]:
        """Joins pieces of one colour that something in front has cut apart, when together they make a better solid."""
        found = sorted(found, key=lambda f: -len(f[0].rows))
        i = 0
        while i < len(found):
            j = i + 1
            while j < len(found):
                joined = self._joined(frame, found[i], found[j], above)
                if joined is None:
                    j += 1
                else:
                    found[i] = joined
                    del found[j]
                    j = i + 1
            i += 1
        return found

    def _joined(
        self, frame: Frame, a: tuple[_Piece, tuple[View, Solid]], b: tuple[_Piece, tuple[View, Solid]], above: Grey
    ) -> tuple[_Piece, tuple[View, Solid]] | None:
        (piece_a, (_, solid_a)), (piece_b, (view_b, solid_b)) = a, b
        apart = math.dist(solid_a.centre_m[:2], solid_b.centre_m[:2])
        if piece_a.colour_class != piece_b.colour_class or apart > self._config.merge_distance_m:
            return None
        if solid_a.shape in ("bowl", "plate") and self._covers(solid_a, view_b):
            return piece_a, a[1]
        if min(solid_a.confidence, solid_b.confidence) > 0.8:
            return None
        piece = piece_a.joined(piece_b)
        view, solid = self._describe(frame, piece, above)
        sure = solid.confidence > max(solid_a.confidence, solid_b.confidence) - 0.05
        better = solid.shape in ("cube", "bowl", "plate", "cylinder") and sure
        small = float(solid.size_m.max()) < 0.09 or solid.shape in ("bowl", "plate")
        return (piece, (view, solid)) if better and small else None

    @staticmethod
    def _covers(solid: Solid, view: View) -> bool:
        """True when what was seen lies in a round solid's wall or on its floor: a piece of it that was cut off."""
        radius = np.linalg.norm(view.points_m[:, :2] - solid.centre_m[:2], axis=1)
        outer, top = solid.size_m[0] / 2, solid.centre_m[2] + solid.size_m[2] / 2
        on_floor = view.points_m[:, 2] < view.table_m + 0.014
        in_wall = (radius > outer - 0.022) & (view.points_m[:, 2] < top + 0.008)
        return bool(np.mean((radius < outer + 0.01) & (in_wall | on_floor)) > 0.9)

    def _detection(self, frame: Frame, piece: _Piece, view: View, solid: Solid) -> Detection | None:
        c = self._config
        if solid.size_m[:2].max() < c.min_extent_m or solid.size_m.max() > c.max_extent_m:
            return None
        pixels = frame.colour[piece.rows[::4], piece.columns[::4]]
        colour = colour_word(piece.colour_class, pixels)
        if piece.colour_class == NONE and (solid.shape == "unknown" or view.hidden > c.limits.hidden_part):
            return None  # grey rests beside the robot's grey body
        pose = Pose.upright(solid.centre_m, solid.yaw_rad)
        yaw_sigma = {"bowl": np.pi, "plate": np.pi, "cylinder": np.pi}.get(solid.shape, 0.03 + 10 * (solid.sigma_m - 0.0015))
        covariance = np.diag([solid.sigma_m**2, solid.sigma_m**2, 0.002**2, 1e-4, 1e-4, min(yaw_sigma, np.pi) ** 2])
        complete = view.hidden <= c.limits.hidden_part and not view.cut
        points = view.points_m[:: max(1, len(view.points_m) // KEPT_POINTS)]
        return Detection(colour, solid.shape, pose, solid.size_m, covariance, solid.confidence, complete, points)


def _cut_steps(labels: Grey, depth_mm: NDArray[np.uint16]) -> None:
    """Sets to 0 the pixels at which the depth steps within one label: there one thing ends and another begins."""
    down = (cv2.absdiff(depth_mm[1:], depth_mm[:-1]) > JUMP_MM) & (labels[1:] == labels[:-1])
    right = (cv2.absdiff(depth_mm[:, 1:], depth_mm[:, :-1]) > JUMP_MM) & (labels[:, 1:] == labels[:, :-1])
    labels[1:] *= ~down
    labels[:, 1:] *= ~right


def _components(labels: Grey, pixels: NDArray[np.intp], min_pixels: int) -> list[NDArray[np.intp]]:
    """Flat indices of the pixels of each part of equal, connected, non-zero labels; ``pixels`` are those that can have a label.

    An opening by 3x3 of all labels at once: pixels whose neighbourhood is of one label are connected, and then grown back by one pixel.
    """
    lowest = cv2.erode(labels, _SMALL, borderType=cv2.BORDER_REPLICATE)
    inner = (lowest == cv2.dilate(labels, _SMALL, borderType=cv2.BORDER_REPLICATE)) & (labels > 0)
    count, cores = cv2.connectedComponents(inner.view(np.uint8), connectivity=4, ltype=cv2.CV_16U)
    label, core, grown = (image.reshape(-1).take(pixels) for image in (labels, cores, cv2.dilate(cores, _SMALL)))
    label_of = np.zeros(count, dtype=np.uint8)
    label_of[core] = label
    label_of[0] = 0
    grown[label_of.take(grown) != label] = 0
    ordered = pixels.take(np.argsort(grown, kind="stable"))
    ends = np.cumsum(np.bincount(grown, minlength=count))
    large = (np.diff(ends) >= min_pixels) & (np.bincount(core, minlength=count)[1:] >= min_pixels // 2)
    return [ordered[ends[i] : ends[i + 1]] for i in np.flatnonzero(large)]
