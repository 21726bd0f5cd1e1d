"""Colour words for pixels. Hue decides, because shading changes brightness but hardly the hue of a saturated paint."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from vla_ros.perception.outlines import quantile

NONE = 0  # too dark or too pale for a hue: neutral
NAMES = ("neutral", "red", "orange", "yellow", "green", "cyan", "blue", "purple", "pink")
HUE_LIMITS_DEG = (  # upper ends
    (12, "red"),
    (38, "orange"),
    (70, "yellow"),
    (165, "green"),
    (195, "cyan"),
    (255, "blue"),
    (310, "purple"),
    (345, "pink"),
    (361, "red"),
)
MIN_SATURATION = 0.42  # below it, hue is mostly the lamp's or the table's
MIN_VALUE = 0.10  # below it, hue is mostly noise
PINK_MIN_VALUE = 0.55  # pale red that is bright is pink; dark pink hues are shaded red
BROWN_MAX_VALUE = 0.42  # dark orange
WHITE_MIN_VALUE, BLACK_MAX_VALUE = 0.62, 0.18


def _class_of(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Index into NAMES for colours [n, 3]."""
    hsv = cv2.cvtColor((rgb.reshape(-1, 1, 3) / np.float32(255)).astype(np.float32), cv2.COLOR_RGB2HSV).reshape(-1, 3)
    hue, saturation, value = hsv.T
    result = np.zeros(len(hue), dtype=np.uint8)
    lower = 0.0
    for upper, name in HUE_LIMITS_DEG:
        result[(hue >= lower) & (hue < upper)] = NAMES.index(name)
        lower = upper
    shaded_red = (result == NAMES.index("pink")) & (value < PINK_MIN_VALUE)
    result[shaded_red] = NAMES.index("red")
    result[(saturation < MIN_SATURATION) | (value < MIN_VALUE)] = NONE
    return result


@lru_cache(maxsize=1)
def _table() -> NDArray[np.uint8]:
    """Class of each colour of 5 bits a channel, [32768]; a look-up is ten times faster than converting the image."""
    level = (np.arange(32) * 8 + 4).astype(np.uint8)
    rgb = np.stack(np.meshgrid(level, level, level, indexing="ij"), axis=-1).reshape(-1, 3)
    return _class_of(rgb)


def colour_classes(image: NDArray[np.uint8], pixels: NDArray[np.intp]) -> NDArray[np.uint8]:
    """[n] index into NAMES of the pixels of an RGB image [h, w, 3] with the flat indices ``pixels`` [n]."""
    packed = cv2.cvtColor(image, cv2.COLOR_RGB2BGR555).view(np.uint16)  # red << 10 | green << 5 | blue
    return _table().take(packed.reshape(-1).take(pixels))


def colour_word(class_index: int, pixels: NDArray[np.uint8]) -> str:
    """The basic colour word of one surface, from its class and its pixels [n, 3]; brightness tells brown, white, grey and black apart."""
    name = NAMES[class_index]
    if name not in ("orange", "neutral"):
        return name
    value = float(quantile(np.sort(pixels.max(axis=1)), 0.75)) / 255
    if name == "orange":
        return "brown" if value < BROWN_MAX_VALUE else name
    if value > WHITE_MIN_VALUE:
        return "white"
    return "black" if value < BLACK_MAX_VALUE else "grey"
