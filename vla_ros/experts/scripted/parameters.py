"""The numbers of the scripted expert; config/experts/scripted.yaml may set any of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from vla_ros.core.errors import ConfigError, unknown_choice
from vla_ros.core.things import BOWL_WALL_M
from vla_ros.core.yaml_files import number, whole_number


@dataclass(frozen=True)
class ScriptedParameters:
    """All of them have defaults that suit the Franka hand and table-top things of a few centimetres."""

    # motion
    velocity_fraction: float = 0.4  # of the arm's joint velocity limits
    acceleration_fraction: float = 0.185  # of the joint acceleration limits; the monitor plays this at full speed
    free_speed_mps: float = 0.5  # of the TCP, away from objects
    near_speed_mps: float = 0.1  # of the TCP, close to objects
    lead_s: float = 0.15  # until the monitor has a new chunk, with margin
    stop_ramp_s: float = 0.5  # in which the arm is brought to rest when something goes wrong
    settle_s: float = 1.0  # that the arm may take to arrive after its plan has ended
    arrived_rad: float = 0.015  # largest joint error on arrival
    blocked_rad: float = 0.06  # joint error from which on the arm counts as blocked
    waypoint_m: float = 0.03  # between two inverse kinematics solutions on a route
    corner_m: float = 0.06  # radius with which a route's corners are rounded
    # heights
    clearance_m: float = 0.04  # over everything on the way
    hover_m: float = 0.06  # above the grasp or release, where the slow part begins
    lift_m: float = 0.10  # above the grasp after it
    release_gap_m: float = 0.004  # under the object when it is let go on a surface
    bowl_gap_m: float = 0.010  # the same inside a container
    bowl_wall_m: float = BOWL_WALL_M  # thickness of its wall
    bowl_floor_m: float = 0.008  # thickness of a container's floor
    # gripper and hand (Franka hand: fingers reach 9 mm below the TCP, the body ends about 37 mm above it)
    open_margin_m: float = 0.012  # on each side of the object when there is room for less than the full opening
    release_margin_m: float = 0.010  # on each side of the object when it is let go in a narrow place
    finger_tip_below_tcp_m: float = 0.009
    finger_thickness_m: float = 0.026  # along the closing direction, where it is thickest, 1 cm above the TCP
    finger_breadth_m: float = 0.022  # across it
    hand_above_tcp_m: float = 0.037
    hand_length_m: float = 0.21  # along the closing direction
    hand_breadth_m: float = 0.07  # across it
    neighbour_gap_m: float = 0.007  # between fingers or hand and everything else; the monitor keeps 5 mm
    full_opening_gap_m: float = 0.010  # the same for the full opening; where there is less, the fingers open less
    grasp_below_top_m: float = 0.03  # how deep the TCP may go below a tall object's top
    lowest_tcp_m: float = 0.016  # above the table
    # feeling
    close_s: float = 1.5  # within which the fingers must have met something
    still_s: float = 0.2  # for which the width must not change before it counts as closed
    width_slack_m: float = 0.012  # between measured width and the object's size
    contact_lost_s: float = 0.25  # without contact before the object counts as dropped
    slip_s: float = 0.4  # of slip without a pause before the object counts as dropped
    touch_lag_m: float = 0.012  # of the TCP above where it was sent: it has touched down
    open_s: float = 1.0
    # behaviour
    grasp_attempts: int = 3
    side_gap_m: float = 0.03  # between an object and the target that it is put beside
    moved_m: float = 0.008  # by which an object may shift before its grasp is planned anew
    patience_s: float = 0.4  # for the monitor to take up a chunk
    restarts: int = 6  # of one subtask after refusals, before it fails

    @staticmethod
    def from_mapping(mapping: Mapping[str, Any], where: str) -> ScriptedParameters:
        """Raises ConfigError for an unknown key or a value that is no number (for what is counted: no whole number)."""
        counted = {f.name: isinstance(f.default, int) for f in fields(ScriptedParameters)}
        for key in mapping:
            if key not in counted:
                raise ConfigError(f"{where}: {unknown_choice('parameter', key, counted)}")
        values: dict[str, Any] = {key: (whole_number if counted[key] else number)(mapping, key, where) for key in mapping}
        return replace(ScriptedParameters(), **values)
