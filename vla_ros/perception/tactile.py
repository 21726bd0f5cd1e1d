"""Taxels to contact: offset removed, contact with hysteresis, force, area, centre of pressure and slip."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vla_ros.core.errors import PerceptionError
from vla_ros.core.geometry import Array
from vla_ros.core.robot_state import ContactState, FingerContact


@dataclass(frozen=True)
class TactileProcessorConfig:
    """Forces in N over a whole pad unless said otherwise; limits in pairs: contact begins above the first, ends below the second."""

    rows: int = 4  # along the finger
    cols: int = 4  # across
    pad_size_m: tuple[float, float] = (0.018, 0.018)  # along, across
    tare_samples: int = 20  # averaged at the start, with nothing in the gripper
    max_tare_n: float = 2.0  # of one pad; a larger first reading is a grasp, not an offset
    noise_n: float = 0.01  # of one taxel; below it, or below four deviations seen while taring, it reads 0
    contact_n: tuple[float, float] = (0.4, 0.2)
    begin_samples: int = 2
    end_samples: int = 3
    slip_window_s: float = 0.06
    slip_distance_m: float = 0.0012  # the pattern's way within the window
    slip_ratio_drop: float = 0.35  # of shear per normal force within the window, with the normal force staying
    steady_force: float = 0.25  # largest relative change of the normal force within the window for motion to count as slip
    settle_s: float = 0.12  # after contact begins the pattern may move as the pad fits itself
    slip_hold_s: float = 0.1  # slip is reported for at least this long


class TactileProcessor:
    """Both finger pads of one gripper, at the sensors' rate."""

    def __init__(self, config: TactileProcessorConfig | None = None) -> None:
        self._config = config or TactileProcessorConfig()
        self.tare()

    def tare(self) -> None:
        """Takes the next samples as the reading without load."""
        self._pads = {name: _Pad(name, self._config) for name in ("left", "right")}

    @property
    def tared(self) -> bool:
        """Whether both pads know their reading without load."""
        return all(p.tared for p in self._pads.values())

    def update(
        self, left_n: Array, right_n: Array, stamp_ns: int, *, left_shear_n: Array | None = None, right_shear_n: Array | None = None
    ) -> ContactState:
        """Normal forces [rows, cols] of both pads; shear likewise, or as [rows, cols, 2]. PerceptionError for others or NaN."""
        fingers = []
        for name, normal, shear in (("left", left_n, left_shear_n), ("right", right_n, right_shear_n)):
            self._check(name, normal)
            fingers.append(self._pads[name].update(np.asarray(normal, dtype=float), _total_shear(name, shear), stamp_ns))
        return ContactState(stamp_ns, tuple(fingers))

    def _check(self, name: str, values: Array) -> None:
        expected = (self._config.rows, self._config.cols)
        if np.shape(values) != expected:
            raise PerceptionError(f"Tactile array of the {name} finger: expected {expected} taxels, got {np.shape(values)}.")
        if not np.isfinite(values).all():
            raise PerceptionError(f"Tactile array of the {name} finger holds NaN or infinity; check the sensor's cable.")


def _total_shear(name: str, shear: Array | None) -> float:
    """Size of the summed shear force; NaN when there is none."""
    if shear is None:
        return float("nan")
    values = np.asarray(shear, dtype=float)
    if not np.isfinite(values).all():
        raise PerceptionError(f"Shear array of the {name} finger holds NaN or infinity; check the sensor's cable.")
    return float(np.hypot(*values.reshape(-1, 2).sum(axis=0))) if values.ndim == 3 else abs(float(values.sum()))


class _Pad:
    """One finger's memory."""

    def __init__(self, name: str, config: TactileProcessorConfig) -> None:
        self._name, self._config = name, config
        self._tare: list[NDArray[np.float64]] = []
        self._offset = np.zeros((config.rows, config.cols))
        self._floor_n = config.noise_n
        self.tared = False
        along, across = config.pad_size_m
        self._x = np.repeat((np.arange(config.rows) + 0.5) / config.rows * along - along / 2, config.cols)
        self._y = np.tile((np.arange(config.cols) + 0.5) / config.cols * across - across / 2, config.rows)
        self._taxel_m2 = along * across / (config.rows * config.cols)
        self._contact, self._streak = False, 0
        self._contact_since_ns = self._slip_until_ns = 0
        self._history: deque[tuple[int, float, float, float, float]] = deque()  # stamp, force, x, y, shear ratio

    def update(self, normal_n: NDArray[np.float64], shear_n: float, stamp_ns: int) -> FingerContact:
        self._learn(normal_n)
        values = (normal_n - self._offset).ravel()
        values = np.where(values > self._floor_n, values, 0.0)
        force = float(values.sum())
        self._decide(force, stamp_ns)
        x, y = (float(values @ self._x) / force, float(values @ self._y) / force) if force > 0 else (0.0, 0.0)
        slip = self._slips(stamp_ns, force, x, y, shear_n)
        area = float(np.count_nonzero(values)) * self._taxel_m2
        return FingerContact(self._name, force, area if self._contact else 0.0, (x, y), slip, self._contact)

    def _learn(self, normal_n: NDArray[np.float64]) -> None:
        """The offset, from the first samples; one that is too large is a grasp and is not learned."""
        if self.tared:
            return
        self._tare.append(normal_n.copy())
        stack = np.array(self._tare)
        mean = stack.mean(axis=0)
        plausible = abs(float(mean.sum())) <= self._config.max_tare_n
        self._offset = mean if plausible else np.zeros_like(mean)
        if len(self._tare) >= self._config.tare_samples:
            self.tared = True
            if plausible:
                self._floor_n = max(self._config.noise_n, 4 * float(stack.std(axis=0).max()))
            self._tare = []

    def _decide(self, force_n: float, stamp_ns: int) -> None:
        c = self._config
        changing = force_n < c.contact_n[1] if self._contact else force_n > c.contact_n[0]
        self._streak = self._streak + 1 if changing else 0
        if self._streak >= (c.end_samples if self._contact else c.begin_samples):
            self._contact, self._streak = not self._contact, 0
            self._contact_since_ns = stamp_ns
            self._history.clear()

    def _slips(self, stamp_ns: int, force_n: float, x_m: float, y_m: float, shear_n: float) -> bool:
        """The pattern of pressure moves under a steady load, or friction lets go: shear falls while the normal force stays."""
        c = self._config
        if not self._contact:
            self._slip_until_ns = 0
            return False
        settled = stamp_ns - self._contact_since_ns >= c.settle_s * 1e9
        if settled and force_n > c.contact_n[0]:
            self._history.append((stamp_ns, force_n, x_m, y_m, shear_n / force_n))
        while self._history and stamp_ns - self._history[0][0] > c.slip_window_s * 1e9:
            self._history.popleft()
        if len(self._history) >= 3:
            _, force0, x0, y0, _ = self._history[0]
            steady = abs(force_n - force0) < c.steady_force * max(force_n, force0)
            moved = float(np.hypot(x_m - x0, y_m - y0)) > c.slip_distance_m
            peak = max(h[4] for h in self._history)
            let_go = peak > 0.15 and self._history[-1][4] < (1 - c.slip_ratio_drop) * peak
            if steady and (moved or let_go):
                self._slip_until_ns = stamp_ns + round(c.slip_hold_s * 1e9)
        return stamp_ns < self._slip_until_ns
