"""Makes messages that nobody would send: values replaced, lists cut and stretched, bytes flipped."""

from __future__ import annotations

from array import array
from typing import Any

import numpy as np
from rclpy.serialization import deserialize_message, serialize_message

FLOATS = (float("nan"), float("inf"), float("-inf"), 0.0, -0.0, -1.0, 1e-320, 1e9, -1e9)
LARGEST = {"double": 1.7e308, "float": 3.4e38}
WORDS = ("", "\u00e9" * 300, "panda_joint1", "none", "../..", "%s", "a\nb", " ")
MOST_ADDED = 2000  # elements, to a list


def mutant(message: Any, rng: np.random.Generator) -> bytes:
    """The serialized message with one to three things wrong; ``message`` stays as it is."""
    changed = deserialize_message(serialize_message(message), type(message))
    for _ in range(int(rng.integers(1, 4))):
        _change(changed, rng)
    cdr = bytes(serialize_message(changed))
    return _scrambled(cdr, rng) if rng.random() < 0.3 else cdr


def _change(message: Any, rng: np.random.Generator) -> None:
    """One field, anywhere inside."""
    kinds = message.get_fields_and_field_types()
    if not kinds:
        return
    name = str(rng.choice(sorted(kinds)))
    kind, value = kinds[name], getattr(message, name)
    if kind.startswith("sequence<"):
        setattr(message, name, _changed_list(value, kind[len("sequence<") : -1], rng))
    elif "[" in kind:
        value[int(rng.integers(len(value)))] = _scalar(kind[: kind.index("[")], rng)
    elif "/" in kind:
        _change(value, rng)
    else:
        setattr(message, name, _scalar(kind, rng))


def _changed_list(values: Any, kind: str, rng: np.random.Generator) -> Any:
    """One element changed, some missing, or some too many."""
    items = list(values)
    what = rng.choice(["element", "element", "cut", "empty", "repeat"]) if items else "empty"
    if what == "element":
        at = int(rng.integers(len(items)))
        if "/" in kind:
            _change(items[at], rng)
        else:
            items[at] = _scalar(kind, rng)
    elif what == "cut":
        items = items[: int(rng.integers(len(items)))]
    elif what == "repeat":
        items = (items * (1 + int(rng.integers(1, MOST_ADDED)) // len(items) + 1))[: len(items) + int(rng.integers(1, MOST_ADDED))]
    else:
        items = []
    return array(values.typecode, items) if isinstance(values, array) else items


def _scalar(kind: str, rng: np.random.Generator) -> Any:
    """A value that the type allows and nobody expects."""
    if kind in LARGEST:
        extremes = (*FLOATS, LARGEST[kind], -LARGEST[kind], float(rng.normal()))
        return extremes[int(rng.integers(len(extremes)))]
    if kind == "boolean":
        return bool(rng.random() < 0.5)
    if kind.startswith("string"):
        return WORDS[int(rng.integers(len(WORDS)))]
    if kind == "octet":
        return bytes([int(rng.integers(256))])
    bits, signed = int(kind.lstrip("uint")), not kind.startswith("u")
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    return (low, high, 0, 1, 2, high // 2, int(rng.integers(0, 100)))[int(rng.integers(7))]


def _scrambled(cdr: bytes, rng: np.random.Generator) -> bytes:
    """Bytes flipped, cut off, or added; the first four say how the others are to be read."""
    data = bytearray(cdr)
    what = rng.choice(["flip", "flip", "cut", "add"])
    if what == "flip":
        for _ in range(int(rng.integers(1, 9))):
            data[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
    elif what == "cut":
        del data[int(rng.integers(len(data))) :]
    else:
        data += rng.bytes(int(rng.integers(1, 64)))
    return bytes(data)
