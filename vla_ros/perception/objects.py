"""What stands on the table: pixels above it, grouped by colour, each group described as one solid."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from vla_ros.core.geometry import Array, Pose, rotation_about, transform
from vla_ros.perception.colours import NONE, colour_classes, colour_word
from vla_ros.perception.depth import Cloud, Image, Mask
from vla_ros.perception.shapes import ShapeLimits, Solid, View, describe
from vla_ros.perception.table import TablePlane

_SMALL, _WIDE = np.ones((3, 3), np.uint8), np.ones((7, 7), np.uint8)
KEPT_POINTS = 100
JUMP_M = 0.011  # neighbours that differ more in depth lie on different things


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
        self._config = config or DetectorConfig()

    def detect(self, frame: Frame) -> list[Detection]:
        """Everything that stands above the table inside the region, one detection for each thing of one colour."""
        above = self._above(frame)
        pieces = self._pieces(frame, above)
        found = [(piece, self._describe(frame, piece, above)) for piece in pieces]
        found = self._merge(frame, found, above)
        detections = [self._detection(frame, piece, view, solid) for piece, (view, solid) in found]
        return [d for d in detections if d is not None]

    def _above(self, frame: Frame) -> Mask:
        """Pixels that show something on the table inside the region and not the robot."""
        c, table = self._config, frame.table
        x, y, z = frame.cloud.xyz
        height = z - np.float32(table.offset_m) - np.float32(table.slope_x) * x - np.float32(table.slope_y) * y
        above = frame.cloud.valid & ~frame.robot & (height > c.min_height_m) & (height < c.max_height_m)
        above &= (x > c.region_min_m[0]) & (x < c.region_max_m[0]) & (y > c.region_min_m[1]) & (y < c.region_max_m[1])
        return np.asarray(above)

    def _pieces(self, frame: Frame, above: Mask) -> list[_Piece]:
        """Connected pixels of one colour without a step in depth; only the part of the image that holds anything is looked at."""
        u0, v0, width, height = cv2.boundingRect(above.view(np.uint8))
        if width < 3 or height < 3:
            return []
        window = slice(v0, v0 + height), slice(u0, u0 + width)
        labels = np.where(above[window], colour_classes(frame.colour[window]) + 1, 0).astype(np.uint8)
        _cut_steps(labels, frame.cloud.depth_m[window])
        count, components, stats = _components(labels)
        pieces = []
        for i in range(1, count):
            u, v, w, h, area = stats[i]
            if area < self._config.min_pixels // 2:
                continue
            rows, columns = np.nonzero(components[v : v + h, u : u + w] == i)
            if len(rows) >= self._config.min_pixels:
                colour_class = int(labels[rows[0] + v, columns[0] + u]) - 1
                pieces.append(_Piece(colour_class, rows + v + v0, columns + u + u0))
        return pieces

    def _describe(self, frame: Frame, piece: _Piece, above: Mask) -> tuple[View, Solid]:
        step = max(1, len(piece.rows) // self._config.max_points)
        points = frame.cloud.xyz[:, piece.rows[::step], piece.columns[::step]].T.astype(float)
        middle = points.mean(axis=0)
        pixel_m = float(np.linalg.norm(middle - frame.camera_m)) / frame.focal_px
        hidden, cut = self._outline(frame, piece, above)
        view = View(points, frame.table.height_at(middle[0], middle[1]), frame.camera_m[:2], pixel_m, hidden, cut)
        return view, describe(view, self._config.limits)

    def _outline(self, frame: Frame, piece: _Piece, above: Mask) -> tuple[float, bool]:
        """Part of the outline where something else begins that is not farther away, and whether it touches the image's edge."""
        height, width = above.shape
        v0, v1 = max(int(piece.rows.min()) - 4, 0), min(int(piece.rows.max()) + 5, height)
        u0, u1 = max(int(piece.columns.min()) - 4, 0), min(int(piece.columns.max()) + 5, width)
        own = np.zeros((v1 - v0, u1 - u0), dtype=np.uint8)
        own[piece.rows - v0, piece.columns - u0] = 1
        depth = frame.cloud.depth_m[v0:v1, u0:u1]
        other = ((above | frame.robot)[v0:v1, u0:u1]) & (own == 0)
        rim = cv2.dilate(own, _SMALL)  # pixels in which two colours mix belong to nobody
        ring = (cv2.dilate(own, _WIDE) != 0) & (rim == 0)
        beside = cv2.dilate(np.where(own != 0, depth, 0).astype(np.float32), _WIDE)
        blocking = ring & other & (depth < beside + 0.012)
        cut = v0 == 0 or u0 == 0 or v1 == height or u1 == width
        return float(blocking.sum() / max(int(ring.sum()), 1)), cut

    def _merge(self, frame: Frame, found: list[tuple[_Piece, tuple[View, Solid]]], above: Mask) -> list[tuple[_Piece, tuple[View, Solid]]]:
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
        self, frame: Frame, a: tuple[_Piece, tuple[View, Solid]], b: tuple[_Piece, tuple[View, Solid]], above: Mask
    ) -> tuple[_Piece, tuple[View, Solid]] | None:
        (piece_a, (_, solid_a)), (piece_b, (view_b, solid_b)) = a, b
        apart = float(np.linalg.norm(solid_a.centre_m[:2] - solid_b.centre_m[:2]))
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
        pose = Pose.from_matrix(transform(rotation_about(np.array([0.0, 0.0, 1.0]), solid.yaw_rad), solid.centre_m))
        yaw_sigma = {"bowl": np.pi, "plate": np.pi, "cylinder": np.pi}.get(solid.shape, 0.03 + 10 * (solid.sigma_m - 0.0015))
        covariance = np.diag([solid.sigma_m**2, solid.sigma_m**2, 0.002**2, 1e-4, 1e-4, min(yaw_sigma, np.pi) ** 2])
        complete = view.hidden <= c.limits.hidden_part and not view.cut
        points = view.points_m[:: max(1, len(view.points_m) // KEPT_POINTS)]
        return Detection(colour, solid.shape, pose, solid.size_m, covariance, solid.confidence, complete, points)


def _cut_steps(labels: NDArray[np.uint8], depth_m: NDArray[np.float32]) -> None:
    """Sets to 0 the pixels at which the depth steps within one label: there one thing ends and another begins."""
    down = (np.abs(depth_m[1:] - depth_m[:-1]) > JUMP_M) & (labels[1:] == labels[:-1])
    right = (np.abs(depth_m[:, 1:] - depth_m[:, :-1]) > JUMP_M) & (labels[:, 1:] == labels[:, :-1])
    labels[1:][down] = 0
    labels[:, 1:][right] = 0


def _components(labels: NDArray[np.uint8]) -> tuple[int, NDArray[np.uint16], NDArray[np.int32]]:
    """(count, component of each pixel, OpenCV's statistics with margins grown by one pixel) of equal, connected, non-zero labels.

    An opening by 3x3 of all labels at once: pixels whose neighbourhood is of one label are connected, and then grown back by one pixel.
    """
    lowest = cv2.erode(labels, _SMALL, borderType=cv2.BORDER_REPLICATE)
    inner = (lowest == cv2.dilate(labels, _SMALL, borderType=cv2.BORDER_REPLICATE)) & (labels > 0)
    count, cores, stats, _ = cv2.connectedComponentsWithStats(inner.view(np.uint8), connectivity=4, ltype=cv2.CV_16U)
    grown = cv2.dilate(cores, _SMALL)
    label_of = np.zeros(count, dtype=np.uint8)
    label_of[cores[inner]] = labels[inner]
    components = np.where(label_of[grown] == labels, grown, 0).astype(np.uint16)
    height, width = labels.shape
    low = np.maximum(stats[:, :2] - 1, 0)
    high = np.minimum(stats[:, :2] + stats[:, 2:4] + 1, (width, height))
    stats[:, :2], stats[:, 2:4] = low, high - low
    return count, components, stats
