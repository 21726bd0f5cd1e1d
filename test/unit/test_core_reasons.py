"""Each of the monitor's reasons can be told to a person."""

from __future__ import annotations

from vla_ros.core.decisions import SafetyReason
from vla_ros.core.reasons import MEANINGS


def test_each_reason_has_a_meaning_and_something_to_do() -> None:
    assert set(MEANINGS) == set(SafetyReason)
    for meaning in MEANINGS.values():
        assert meaning.what[-1] in ".?"
        assert meaning.to_do[-1] in ".?"
