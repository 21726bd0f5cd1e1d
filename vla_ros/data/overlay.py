"""Draws what the stack was doing onto camera frames: instruction, subtask, reasoning, safety state, time, wrist camera."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import cv2
import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from vla_ros.core.decisions import SafetyMode, SafetyReason
from vla_ros.core.outcomes import Outcome
from vla_ros.data.images import Image8
from vla_ros.data.run_signals import RunSignals

WIDTH_PX, CAMERA_HEIGHT_PX, PANEL_HEIGHT_PX = 640, 480, 120
HEIGHT_PX = CAMERA_HEIGHT_PX + PANEL_HEIGHT_PX
_INSET_WIDTH_PX, _INSET_HEIGHT_PX, _MARGIN_PX = 184, 138, 8
_TEXT_WIDTH_PX = WIDTH_PX - 2 * _MARGIN_PX
_REASONING_LINES = 3
_MODE_COLOURS: dict[SafetyMode | None, tuple[int, int, int]] = {
    None: (110, 110, 110),
    SafetyMode.STARTING: (110, 110, 110),
    SafetyMode.READY: (30, 130, 70),
    SafetyMode.SLOWED: (190, 140, 0),
    SafetyMode.HOLDING: (215, 95, 15),
    SafetyMode.STOPPED_LATCHED: (200, 30, 45),
}


class Overlay:
    """Composes one frame after the other. Text is drawn only when it changes: drawing it takes longer than all the rest."""

    def __init__(self, signals: RunSignals) -> None:
        self._signals = signals
        self._acted_until_s = max((s.end_s for s in signals.subtasks), default=0.0)

    def compose(self, front: Image8, wrist: Image8 | None, time_s: float) -> Image8:
        """[HEIGHT_PX, WIDTH_PX, 3] RGB for ``time_s`` after the start; the cameras' images may have any size."""
        frame = np.empty((HEIGHT_PX, WIDTH_PX, 3), np.uint8)
        frame[:CAMERA_HEIGHT_PX] = _resized(front, WIDTH_PX, CAMERA_HEIGHT_PX)
        if wrist is not None:
            _paste(
                frame, _framed(_resized(wrist, _INSET_WIDTH_PX, _INSET_HEIGHT_PX)), WIDTH_PX - _INSET_WIDTH_PX - _MARGIN_PX - 2, _MARGIN_PX
            )
        _paste(frame, self._badge(time_s), _MARGIN_PX, _MARGIN_PX)
        elapsed = _label(f"{max(time_s, 0.0):5.1f} s", 16, (0, 0, 0))
        _paste(frame, elapsed, _MARGIN_PX, CAMERA_HEIGHT_PX - _MARGIN_PX - elapsed.shape[0])
        frame[CAMERA_HEIGHT_PX:] = self._panel(time_s)
        return frame

    def _is_done(self, time_s: float) -> bool:
        """Whether all was done that the verified goal needed."""
        return self._signals.outcome == Outcome.SUCCEEDED.word and time_s >= self._acted_until_s

    def _badge(self, time_s: float) -> Image8:
        change = self._signals.mode_at(time_s)
        if change is None:
            return _label("safety: unknown", 15, _MODE_COLOURS[None])
        if (
            change.mode is SafetyMode.READY and change.reason == SafetyReason.OK and not self._is_done(time_s)
        ):  # ready says that nothing keeps it; here it is doing it
            return _label("MOVING", 15, _MODE_COLOURS[change.mode])
        reason = "" if change.mode in (SafetyMode.READY, SafetyMode.STARTING) else f": {change.reason}"
        return _label(change.mode.name.replace("_", " ") + reason, 15, _MODE_COLOURS[change.mode])

    def _panel(self, time_s: float) -> Image8:
        subtask = self._signals.subtask_at(time_s)
        reasoning = self._signals.reasoning_at(time_s)
        if self._is_done(time_s):
            return _panel(self._signals.instruction, "Done", reasoning.text if reasoning else "")
        step = f"{subtask.name} (attempt {subtask.attempts})" if subtask and subtask.attempts > 1 else subtask.name if subtask else "-"
        return _panel(self._signals.instruction, step, reasoning.text if reasoning else "")


@lru_cache(maxsize=4)
def _panel(instruction: str, step: str, reasoning: str) -> Image8:
    """The text below the camera's image."""
    image = Image.new("RGB", (WIDTH_PX, PANEL_HEIGHT_PX), (24, 26, 30))
    draw = ImageDraw.Draw(image)
    draw.text((_MARGIN_PX, 6), wrap(f"Goal: {instruction}", 16, True, 1)[0], font=load_font(16, True), fill=(255, 255, 255))
    draw.text((_MARGIN_PX, 30), wrap(f"Subtask: {step}", 15, False, 1)[0], font=load_font(15, False), fill=(150, 205, 255))
    for k, line in enumerate(wrap(reasoning, 13, False, _REASONING_LINES)):
        draw.text((_MARGIN_PX, 54 + 20 * k), line, font=load_font(13, False), fill=(210, 210, 210))
    return np.asarray(image)


def wrap(text: str, size_px: int, bold: bool, lines: int, width_px: int = _TEXT_WIDTH_PX) -> Sequence[str]:
    """``text`` in at most ``lines`` lines that fit ``width_px``; what does not fit becomes an ellipsis. At least one line."""
    font = load_font(size_px, bold)
    text = " ".join(text.split())
    columns = len(text) + 1
    while columns > 8:
        wrapped = textwrap.wrap(text, columns, max_lines=lines, placeholder=" ...") or [""]
        widest = max(font.getlength(line) for line in wrapped)
        if widest <= width_px:
            return wrapped
        columns = min(columns - 1, int(columns * width_px / widest))
    return textwrap.wrap(text, 8, max_lines=lines, placeholder="...") or [""]


@lru_cache(maxsize=32)
def _label(text: str, size_px: int, colour: tuple[int, int, int]) -> Image8:
    """White text on a coloured plate."""
    font = load_font(size_px, True)
    image = Image.new("RGB", (int(font.getlength(text)) + 16, size_px + 12), colour)
    ImageDraw.Draw(image).text((8, 5), text, font=font, fill=(255, 255, 255))
    return np.asarray(image)


@lru_cache(maxsize=8)
def load_font(size_px: int, bold: bool) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which comes with matplotlib and knows most scripts of Europe."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name), size_px)


def _resized(image: Image8, width: int, height: int) -> Image8:
    if image.shape[:2] == (height, width):
        return image
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def _framed(image: Image8) -> Image8:
    """With a white border of one pixel."""
    return np.pad(image, ((1, 1), (1, 1), (0, 0)), constant_values=255)


def _paste(frame: Image8, image: Image8, x: int, y: int) -> None:
    """Copies ``image`` into ``frame``; what reaches over the right border is cut."""
    width = min(image.shape[1], frame.shape[1] - x)
    frame[y : y + image.shape[0], x : x + width] = image[:, :width]
