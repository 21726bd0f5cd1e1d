"""What RViz is shown: the pair that leaves the least room, and the way that the arm goes if nothing else comes."""

from __future__ import annotations

import numpy as np
import pytest
from safety_rig import KEPT_M, SWEEP, Rig, ahead, home, panda, smooth, thing_at


def test_the_nearest_pair_is_shown_where_it_is_nearest():
    rig = Rig()
    rig.things = (thing_at(ahead(0.12)[:3, 3], 0.1, last_seen_ns=rig.now_ns),)
    rig.ready()
    nearest = rig.gate.nearest()
    assert "the red cube" in nearest.pair
    assert np.linalg.norm(nearest.points_m[1] - nearest.points_m[0]) == pytest.approx(nearest.margin_m, abs=1e-6)
    from_middle_m = np.abs(nearest.points_m[1] - ahead(0.12)[:3, 3]).max()
    assert 0.0 <= from_middle_m - 0.05 - KEPT_M < 0.002, "on the border of what is kept from the cube"
    assert np.linalg.norm(nearest.points_m[0] - panda().fk(home())[:3, 3]) < 0.15, "on the hand"


def test_the_committed_way_goes_from_where_the_arm_is_to_where_it_would_rest():
    rig = Rig()
    assert len(rig.gate.committed_path_m()) == 0
    rig.ready()
    rig.send(smooth(60, SWEEP))
    rig.step(120)
    way_m = rig.gate.committed_path_m()
    np.testing.assert_allclose(way_m[0], panda().fk(rig.arm_state()[0])[:3, 3], atol=1e-6)
    rig.gate.hold("the test")
    rig.step(1)
    rig.now_ns += 2_000_000_000
    rest_m = panda().fk(rig.arm_state()[0])[:3, 3]
    assert np.linalg.norm(way_m - rest_m, axis=1).min() < 2e-3, "a stop that is asked for ends on the way that was shown, or before"
    assert np.linalg.norm(way_m[-1] - way_m[0]) > 0.005
