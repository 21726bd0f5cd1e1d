"""Tolerances of the world model: perception is a few millimetres off, and good chunks must not be refused for that."""

from __future__ import annotations

from dataclasses import dataclass

from vla_ros.core.things import BOWL_FLOOR_M, BOWL_WALL_M


@dataclass(frozen=True)
class WorldModelParameters:
    """Depths beyond which a contact counts as a collision, and what is assumed of things."""

    look_m: float = 0.05  # distances beyond this are not measured
    table_depth_m: float = 0.004  # depth of fingers or hand in the table that counts as a collision
    object_depth_m: float = 0.007  # depth of arm or fingers in an object that counts as a collision
    held_depth_m: float = 0.012  # depth of the held object in table, target or another object that counts as a collision
    held_size_m: float = 0.003  # by which the fingers may be closer than the object's measured size while they hold it
    released_m: float = 0.006  # by which the fingers may stand farther apart than the object's size while they hold it
    friction: float = 0.5  # between pad and object; low, because the object is not known
    object_mass_kg: float = 0.2  # likewise high
    object_density_kgpm3: float = 600.0  # of what falls in the settling roll-out
    spill_rad: float = 0.35  # between the axis of a held container and what its content feels as up (guess: a half-full cup)
    fall_m: float = 0.05  # an object that falls farther than this when let go counts as dropped
    settle_s: float = 0.5  # simulated after letting go
    timestep_s: float = 0.005
    home_rad: float = 0.03  # joint distance that counts as being at home
    grasp_offset_m: float = 0.015  # of the TCP from the object's middle at which closing is expected to grasp it
    grasp_slack_m: float = 0.009  # by which an object to be grasped may lie off the middle of the pads without room for it
    wall_m: float = BOWL_WALL_M  # thickness of a bowl's rim
    floor_m: float = BOWL_FLOOR_M  # and of its floor
