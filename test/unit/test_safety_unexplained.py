"""What is seen and is no known object is kept clear of like anything else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safety_rig import home, panda, safety

from vla_ros.core.decisions import SafetyReason
from vla_ros.core.geometry import Pose
from vla_ros.core.scene import Scene, SceneObject
from vla_ros.safety.surroundings import Surroundings
from vla_ros.safety.unexplained import COMING, MOST, STANDING, boxes_around

CELL_M = 0.05


def scene_with(cells_m, stamp_ns: int = 1) -> Scene:
    return Scene(stamp_ns, panda().config.base_frame, (), 0.0, np.asarray(cells_m, dtype=float).reshape(-1, 3), CELL_M)


def around(cells_m) -> Surroundings:
    surroundings = Surroundings(panda(), safety())
    surroundings.on_scene(scene_with(cells_m), panda().fk(home()), 1)
    return surroundings


def way_of_tcp(by_m) -> np.ndarray:
    end = panda().fk(home())
    end[:3, 3] += by_m
    return np.column_stack([np.linspace(home(), panda().ik(end, home()), 60), np.full(60, 0.08)])


@given(st.lists(st.tuples(*[st.integers(-20, 20)] * 3), min_size=1, max_size=80), st.floats(0.0, 0.2))
def test_the_boxes_hold_every_cell_and_are_not_many(cells, grown_m):
    middles = (np.array(cells) + 0.5) * CELL_M
    boxes = boxes_around(np.array(cells), CELL_M, grown_m, STANDING)
    assert len(boxes) <= MOST
    low = np.array([b.T_base_solid[:3, 3] - b.size_m / 2 for b in boxes])
    high = np.array([b.T_base_solid[:3, 3] + b.size_m / 2 for b in boxes])
    for middle in middles:
        reach = CELL_M / 2 + grown_m - 1e-9
        assert np.any(np.all((low <= middle - reach) & (high >= middle + reach), axis=1))


def test_a_block_of_cells_is_one_box_no_larger_than_they_are():
    cells = np.array([(i, j, k) for i in range(4) for j in range(3) for k in range(2)])
    (box,) = boxes_around(cells, CELL_M, 0.01, STANDING)
    np.testing.assert_allclose(box.size_m, [0.22, 0.17, 0.12])
    np.testing.assert_allclose(box.T_base_solid[:3, 3], [0.1, 0.075, 0.05])


def test_the_arm_keeps_clear_of_it_says_so_and_goes_on_when_it_is_gone():
    rows = way_of_tcp([0.2, 0.0, 0.0])
    there = panda().fk(home())[:3, 3] + [0.25, 0.0, 0.0]
    surroundings = around([there])
    breach = surroundings.breach(rows[0], rows[1:])
    assert breach is not None
    assert "something that is no known object" in breach.sentence
    assert surroundings.on_scene(scene_with([], 2), panda().fk(home()), 2)
    assert surroundings.breach(rows[0], rows[1:]) is None


def test_it_is_slowed_before_it():
    pace = around([panda().fk(home())[:3, 3] + [0.3, 0.0, 0.0]]).nearness(np.append(home(), 0.08))
    assert pace is not None
    assert pace.reason == SafetyReason.SEPARATION
    assert 0 < pace.share < 1
    assert pace.why.startswith("Something that is no known object is ")


def names_after(seconds_and_cells) -> list[set[str]]:
    surroundings, names = Surroundings(panda(), safety()), []
    for seconds, cells_m in seconds_and_cells:
        now_ns = round(seconds * 1e9) + 1
        surroundings.on_scene(scene_with(cells_m, now_ns), panda().fk(home()), now_ns)
        names.append({name for name, boxes in surroundings._unexplained._boxes.items() if boxes})
    return names


def test_what_has_just_come_counts_as_coming_and_what_stays_as_standing_though_it_flickers():
    there, none = np.array([[0.6, 0.0, 0.3]]), np.zeros((0, 3))
    seen = [(0, there), (0.3, there), (0.6, none), (0.7, there), (1.0, there), (1.3, none), (1.4, there), (1.8, none), (2.1, there)]
    expected = [{COMING}, {COMING}, set(), {COMING}, {STANDING}, set(), {STANDING}, set(), {COMING}]
    assert names_after(seen) == expected, "after more than half a second it has come anew"


@pytest.mark.parametrize("later_s", [10.0, -5.0, 1.6])
def test_nothing_counts_as_seen_ever_since_over_a_gap_or_a_clock_that_leaps(later_s):
    there = np.array([[0.6, 0.0, 0.3]])
    assert names_after([(20.0, there), (20.1, there), (20.1 + later_s, there)])[-1] == {COMING}


def test_a_grid_of_another_size_is_another_grid():
    surroundings = Surroundings(panda(), safety())
    for at_s, cell_m in ((0.0, 0.05), (0.5, 0.05), (1.0, 0.05), (1.2, 0.1)):
        now_ns = round(at_s * 1e9) + 1
        scene = replace(scene_with([[0.6, 0.0, 0.3]], now_ns), unexplained_cell_m=cell_m)
        surroundings.on_scene(scene, panda().fk(home()), now_ns)
    assert surroundings._unexplained._boxes[COMING]


def test_what_goes_on_keeps_counting_as_coming():
    way = [(0.1 * n, [[0.6, -0.4 + 0.03 * n, 0.3]]) for n in range(25)]
    assert all(names == {COMING} for names in names_after(way))


def test_what_has_come_opens_no_way_into_what_is_known():
    """A link inside the margin of the one may not come as near to the other."""
    tcp = panda().fk(home())[:3, 3]
    known = SceneObject(
        "box_1", "grey box", "grey", "box", Pose(tcp + [0.0, 0.2, 0.0], np.array([0, 0, 0, 1.0])), np.array([0.1, 0.1, 0.4]), 0.9, 1
    )
    layer = [[x, y, 0.025] for x in np.arange(0.225, 0.5, 0.05) for y in np.arange(-0.175, 0.4, 0.05)]
    reached = []
    for cells in ([], layer):
        surroundings = Surroundings(panda(), replace(safety(), clearance=replace(safety().clearance, unexplained_mps=0.25)))
        surroundings.on_scene(replace(scene_with(cells), objects=(known,)), panda().fk(home()), 1)
        rows = way_of_tcp([0.0, 0.18, 0.0])
        n = 0
        while n < len(rows) - 3 and surroundings.breach(rows[n], rows[n + 1 : n + 4], np.zeros((4, 7))) is None:
            n += 1
        reached.append(n)
    assert 0 < reached[0] < 57
    assert reached[1] <= reached[0]


def test_more_is_kept_from_what_has_just_come_and_from_what_was_seen_long_ago():
    rows, there = way_of_tcp([0.05, 0.0, 0.0]), panda().fk(home())[:3, 3] + [0.34, 0.0, 0.0]
    surroundings = around([there])
    assert surroundings.breach(rows[0], rows[1:]) is not None
    for ms in (400, 800, 1200):
        surroundings.on_scene(scene_with([there], 1 + ms * 1_000_000), panda().fk(home()), 1 + ms * 1_000_000)
    assert surroundings.breach(rows[0], rows[1:]) is None
    kept_m = []
    for late_ms in (0, 900):
        surroundings = Surroundings(panda(), safety())
        surroundings.on_scene(scene_with([there], 1), panda().fk(home()), 1 + late_ms * 1_000_000)
        kept_m.append(surroundings._unexplained.kept_m[COMING])
    assert kept_m[1] - kept_m[0] > 0.2


@pytest.mark.parametrize(
    ("cells_m", "cell_m"),
    [
        (np.full((1, 3), np.nan), CELL_M),
        (np.full((1, 3), 1e9), CELL_M),
        (np.zeros((5000, 3)), CELL_M),
        (np.zeros((1, 3)), 0.0),
        (np.zeros((1, 3)), np.nan),
    ],
)
def test_what_are_no_cells_is_refused_and_what_was_known_is_kept(cells_m, cell_m):
    there = panda().fk(home())[:3, 3] + [0.25, 0.0, 0.0]
    surroundings, rows = around([there]), way_of_tcp([0.2, 0.0, 0.0])
    with pytest.raises(ValueError, match="unexplained"):
        surroundings.on_scene(replace(scene_with([]), unexplained_m=cells_m, unexplained_cell_m=cell_m), panda().fk(home()), 2)
    assert surroundings.breach(rows[0], rows[1:]) is not None
