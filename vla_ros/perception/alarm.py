"""A condition that has to last before it counts, and to be gone for a while before it does not."""

from __future__ import annotations


class Alarm:
    """Raised after ``bad`` for ``raise_s`` in a row, cleared after ``good`` for ``clear_s`` in a row; in between it stays as it is."""

    def __init__(self, raise_s: float, clear_s: float) -> None:
        self._raise_ns, self._clear_ns = round(raise_s * 1e9), round(clear_s * 1e9)
        self.active = False
        self._since_ns: int | None = None  # since when the opposite of ``active`` has been seen

    def update(self, bad: bool, good: bool, now_ns: int) -> bool:
        """Whether it is raised. ``bad`` and ``good`` may both be False: between two limits."""
        if not (good if self.active else bad):
            self._since_ns = None
            return self.active
        if self._since_ns is None or now_ns < self._since_ns:
            self._since_ns = now_ns
        if now_ns - self._since_ns >= (self._clear_ns if self.active else self._raise_ns):
            self.active, self._since_ns = not self.active, None
        return self.active
