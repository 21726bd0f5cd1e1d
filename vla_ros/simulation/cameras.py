"""Images of the simulated cameras: colour and depth of one rendered picture, on the CPU if need be.

OpenGL's context belongs to the thread that made it: make, use and close a ``CameraRenderer`` in one thread.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from vla_ros.core.errors import SimulationError, unknown_choice
from vla_ros.robots import CameraConfig
from vla_ros.simulation.world import World

DEBIAN_PACKAGES = "libegl1 libgl1-mesa-dri (MUJOCO_GL=egl), or libosmesa6 (MUJOCO_GL=osmesa)"
BACKENDS = ("egl", "osmesa", "glfw")
MAX_DEPTH_MM = 5000  # farther is "no return", as a structured-light camera has it
NOISE_AT_1M_MM = 1.0  # standard deviation of a stereo depth camera's noise; it grows with the distance squared
_MAX_GEOMS = 1000
_OFF = ("SHADOW", "REFLECTION", "HAZE", "FOG", "SKYBOX")  # each costs a pass or fill


@dataclass(frozen=True)
class CameraImage:
    """One picture. Row 0 is the top."""

    stamp_ns: int
    camera: str
    colour: NDArray[np.uint8]  # [h, w, 3] RGB
    depth_mm: NDArray[np.uint16] | None  # [h, w] along the optical axis, 0: no return; None: the camera has no depth


class _Buffers:
    """Made once: fresh memory for each picture costs as much as half of its rendering (page faults)."""

    def __init__(self, camera: CameraConfig) -> None:
        shape = (camera.height_px, camera.width_px)
        self.colour = np.zeros((*shape, 3), np.uint8)
        self.depth = np.zeros(shape if camera.has_depth else (0, 0), np.float32)
        self.depth_mm = np.zeros_like(self.depth)


class CameraRenderer:
    """Renders the cameras of a World. Raises SimulationError naming the Debian packages when there is no OpenGL."""

    def __init__(self, world: World, sensor_noise: bool = False, seed: int = 0) -> None:
        self._world = world
        self._cameras = world.robot.cameras
        self._noise = _DepthNoise(self._cameras, seed) if sensor_noise else None
        self._grain = _ColourNoise(self._cameras, seed) if sensor_noise else None
        visual = world.model.vis.global_
        self._gl = _context(visual.offwidth, visual.offheight)
        try:
            self._context = mujoco.MjrContext(world.model, mujoco.mjtFontScale.mjFONTSCALE_100)
        except mujoco.FatalError as error:
            self._gl.free()
            raise SimulationError(f"OpenGL cannot render ({error}). Debian packages: {DEBIAN_PACKAGES}.") from error
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._context)
        self._scene = mujoco.MjvScene(world.model, _MAX_GEOMS)
        for flag in _OFF:
            self._scene.flags[int(getattr(mujoco.mjtRndFlag, f"mjRND_{flag}"))] = 0
        self._option = mujoco.MjvOption()
        self._camera = mujoco.MjvCamera()
        self._camera.type = mujoco.mjtCamera.mjCAMERA_FIXED
        self._buffers = {c.name: _Buffers(c) for c in self._cameras.values()}

    def render(self, name: str, stamp_ns: int, data: mujoco.MjData | None = None) -> CameraImage:
        """What camera ``name`` sees now, or in the state ``data`` (its kinematics up to date); the arrays are the caller's.

        Raises SimulationError for an unknown name.
        """
        if name not in self._cameras:
            raise SimulationError(unknown_choice("camera", name, self._cameras))
        config = self._cameras[name]
        self._camera.fixedcamid = self._world.model.camera(name).id
        viewport = mujoco.MjrRect(0, 0, config.width_px, config.height_px)
        mujoco.mjv_updateScene(
            self._world.model, data or self._world.data, self._option, None, self._camera, mujoco.mjtCatBit.mjCAT_ALL, self._scene
        )
        mujoco.mjr_render(viewport, self._scene, self._context)
        buffers = self._buffers[name]
        mujoco.mjr_readPixels(buffers.colour, buffers.depth if config.has_depth else None, viewport, self._context)
        colour = buffers.colour[::-1].copy()  # OpenGL's row 0 is the bottom
        if self._grain is not None:
            self._grain.add_to(name, colour)
        return CameraImage(stamp_ns, name, colour, self._depth_mm(name, buffers) if config.has_depth else None)

    def _depth_mm(self, name: str, buffers: _Buffers) -> NDArray[np.uint16]:
        """Millimetres along the optical axis from OpenGL's depth buffer, 0 (near plane) to 1 (far plane)."""
        visual = self._world.model.vis.map
        extent = self._world.model.stat.extent
        near, far = visual.znear * extent, visual.zfar * extent
        depth = np.multiply(buffers.depth[::-1], np.float32(near / far - 1), out=buffers.depth_mm)
        depth += np.float32(1)
        np.divide(np.float32(near * 1000), depth, out=depth)
        if self._noise is not None:
            self._noise.add_to(name, depth)
        depth += np.float32(0.5)
        millimetres = depth.astype(np.uint16)
        millimetres[millimetres > MAX_DEPTH_MM] = 0
        return millimetres

    def close(self) -> None:
        """Gives the context back; call it in the thread that made it."""
        self._context.free()
        self._gl.free()


def _context(width: int, height: int) -> Any:
    """An OpenGL context of the kind that MUJOCO_GL names, egl unless it is set: that needs no window system."""
    backend = os.environ.setdefault("MUJOCO_GL", "egl").lower()
    if backend not in BACKENDS:
        raise SimulationError(f"MUJOCO_GL: {unknown_choice('kind of OpenGL', backend, BACKENDS)}")
    _load_triton_before_mesa()
    try:
        context = importlib.import_module(f"mujoco.{backend}").GLContext(width, height)
        context.make_current()
    except Exception as error:  # each kind raises its own: ImportError, AttributeError, RuntimeError, ...
        raise SimulationError(f"No OpenGL with MUJOCO_GL={backend} ({error}). Debian packages: {DEBIAN_PACKAGES}.") from error
    return context


def _load_triton_before_mesa() -> None:
    """A CUDA build of torch brings triton, and triton its own LLVM. Loaded after Mesa's software renderer it takes that one's LLVM
    symbols and the process dies in the import of transformers (segmentation fault; triton 3.7.1, Mesa 22.3); before it, both work."""
    if importlib.util.find_spec("triton") is not None:
        import triton._C.libtriton  # noqa: F401


class _ColourNoise:
    """The least bit of every pixel is chance, as with any real sensor: two pictures are never the same."""

    def __init__(self, cameras: dict[str, CameraConfig], seed: int) -> None:
        rng = np.random.default_rng(seed)
        self._bits = {c.name: rng.integers(0, 2, (2 * c.height_px, c.width_px, 3), np.uint8) for c in cameras.values()}
        self._rng = rng

    def add_to(self, camera: str, colour: NDArray[np.uint8]) -> None:
        """Flips least bits of ``colour`` [h, w, 3] in place."""
        row = int(self._rng.integers(len(colour)))
        np.bitwise_xor(colour, self._bits[camera][row : row + len(colour)], out=colour)


class _DepthNoise:
    """Noise that grows with distance squared, taken from a ring of patterns made beforehand: fresh numbers would cost 5 ms a picture."""

    _PATTERNS = 4

    def __init__(self, cameras: dict[str, CameraConfig], seed: int) -> None:
        rng = np.random.default_rng(seed)
        self._patterns = {
            c.name: (NOISE_AT_1M_MM * rng.standard_normal((self._PATTERNS, c.height_px, c.width_px))).astype(np.float32)
            for c in cameras.values()
            if c.has_depth
        }
        self._rng = rng

    def add_to(self, camera: str, depth_mm: NDArray[np.float32]) -> None:
        pattern = self._patterns[camera][self._rng.integers(self._PATTERNS)]
        row = int(self._rng.integers(pattern.shape[0]))
        for part, noise in ((depth_mm[row:], pattern[: len(pattern) - row]), (depth_mm[:row], pattern[len(pattern) - row :])):
            part += noise * np.square(part * np.float32(1e-3))
