"""What the gate is allowed to let through, from config/safety/<robot>.yaml. There is no key that switches it off."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from vla_ros.core.errors import ConfigError
from vla_ros.core.resources import config_path
from vla_ros.core.stamps import ns_from_s
from vla_ros.core.yaml_files import check_keys, load_yaml, number, section, truth, whole_number
from vla_ros.safety.residuals import GAP_S

# key -> lowest and highest value that still make a gate
_SCALARS: dict[str, tuple[float, float]] = {
    "tick_s": (0.002, 0.05),
    "lookahead_ticks": (2, 20),
    "position_margin_rad": (0.0, 0.2),
    "workspace_margin_m": (0.0, 0.2),
    "start_jump_rad": (0.005, 0.2),
    "chunk_age_s": (0.05, 5.0),
    "joint_states_age_s": (0.02, 0.5),
    "at_rest_radps": (0.001, 0.1),
    "tracking_hold_rad": (0.01, 0.3),
    "tracking_latch_rad": (0.02, 0.6),
    "scene_age_s": (0.1, 5.0),
}
_CLEARANCE: dict[str, tuple[float, float]] = {
    "self_m": (0.001, 0.1),
    "table_m": (0.0005, 0.1),
    "table_height_m": (-2.0, 2.0),
    "things_m": (0.001, 0.2),
    "sigmas": (0.0, 5.0),
    "unseen_mps": (0.0, 0.1),
    "most_m": (0.0, 0.2),
    "reaction_s": (0.05, 2.0),
    "unexplained_mps": (0.0, 2.0),
    "slow_m": (0.0, 1.0),
    "slowest": (0.02, 1.0),
    "blind_speed": (0.02, 1.0),
}
_CONTACT: dict[str, tuple[float, float]] = {
    "pad_n": (5.0, 300.0),
    "one_sided_n": (1.0, 300.0),
    "age_s": (0.02, 2.0),
    "retreat_rad": (0.0, 0.5),
}
_SHARE = (0.01, 1.0)
_LESS_THAN_ALL = {("operation", "velocity"): 0.95, ("braking", "acceleration"): 0.95}  # the rest is a margin
_TORQUE_NM = (0.5, 100.0)
_WORLD_MODEL: dict[str, tuple[float, float]] = {
    "deadline_s": (0.05, 2.0),
    "unknown_speed": (0.0, 0.9),
}
_DEADMAN_S = (0.02, 0.5)
_TIMEOUT_S = (0.05, 10.0)
FORWARDER = "motion_forwarder"  # nothing reaches the arm without it


@dataclass(frozen=True)
class Shares:
    """Shares (0-1] of the robot's hard limits."""

    velocity: float
    acceleration: float
    jerk: float


@dataclass(frozen=True)
class ClearanceConfig:
    """What is kept between the arm, the table and things. See config/safety/panda.yaml."""

    self_m: float
    table_m: float
    table_height_m: float
    things_m: float
    sigmas: float
    unseen_mps: float
    most_m: float
    reaction_s: float
    unexplained_mps: float
    slow_m: float
    slowest: float
    blind_speed: float


@dataclass(frozen=True)
class ContactConfig:
    """What arm and fingers may feel. See config/safety/panda.yaml."""

    pad_n: float
    one_sided_n: float
    age_s: float
    retreat_rad: float
    torque_nm: tuple[float, ...]  # [dof]; empty for an arm whose joints measure no torque


@dataclass(frozen=True)
class WorldModelConfig:
    """What motion is worth that the world model has not approved. See config/safety/panda.yaml."""

    required: bool
    deadline_s: float
    unknown_speed: float


@dataclass(frozen=True)
class DeadmanConfig:
    """Whose motion needs a person who holds a switch. See config/safety/panda.yaml."""

    experts: tuple[str, ...]  # as their chunks name them
    age_s: float


@dataclass(frozen=True)
class SafetyConfig:
    """See config/safety/panda.yaml for the meaning of each value."""

    tick_s: float
    lookahead_ticks: int
    operation: Shares
    braking: Shares  # its velocity is 1: a stop may start from any velocity inside the hard limits
    position_margin_rad: float
    workspace_margin_m: float
    start_jump_rad: float
    chunk_age_s: float
    joint_states_age_s: float
    at_rest_radps: float
    tracking_hold_rad: float
    tracking_latch_rad: float
    scene_age_s: float
    clearance: ClearanceConfig
    contact: ContactConfig
    world_model: WorldModelConfig
    deadman: DeadmanConfig
    heartbeats: Mapping[str, float]  # node -> longest silence [s]
    vision_heartbeats: Mapping[str, float]
    plan_heartbeats: Mapping[str, float]
    cameras: Mapping[str, float]  # camera -> oldest health report [s]

    @property
    def tick_ns(self) -> int:
        """The period of the monitor in nanoseconds."""
        return ns_from_s(self.tick_s)

    @property
    def nodes(self) -> tuple[str, ...]:
        """All whose heartbeats are listened for."""
        return (*self.heartbeats, *self.vision_heartbeats, *self.plan_heartbeats)

    def without_world_model(self) -> SafetyConfig:
        """The same for where there is none: nothing waits for an approval."""
        return replace(self, world_model=replace(self.world_model, required=False))

    def without_blind_zones(self) -> SafetyConfig:
        """The same for where everything is seen: the hand is nowhere slower because of where the cameras are turned to."""
        return replace(self, clearance=replace(self.clearance, blind_speed=1.0))

    @staticmethod
    def from_mapping(mapping: Mapping[str, Any], where: str) -> SafetyConfig:
        """Raises ConfigError naming the key at fault and its valid range; ``where`` names the file."""
        check_keys(mapping, [f.name for f in fields(SafetyConfig)], [], where)
        values: dict[str, Any] = {key: number(mapping, key, where, *bounds) for key, bounds in _SCALARS.items()}
        values["lookahead_ticks"] = whole_number(mapping, "lookahead_ticks", where)
        values["operation"] = _shares(mapping, "operation", ("velocity", "acceleration", "jerk"), where)
        values["braking"] = _shares(mapping, "braking", ("acceleration", "jerk"), where)
        values["clearance"] = ClearanceConfig(**_numbers(mapping, "clearance", _CLEARANCE, where))
        values["contact"] = _contact(mapping, where)
        values["world_model"] = _world_model(mapping, where)
        values["deadman"] = _deadman(mapping, where)
        for key in ("heartbeats", "vision_heartbeats", "plan_heartbeats", "cameras"):
            values[key] = _timeouts(mapping, key, where)
        config = SafetyConfig(**values)
        _check_order(config, where)
        return config


def load_safety_config(name: str) -> SafetyConfig:
    """``config/safety/<name>.yaml``, or the YAML file of that path. Raises ConfigError."""
    path: Path = config_path("safety", name)
    return SafetyConfig.from_mapping(load_yaml(path), str(path))


def _shares(mapping: Mapping[str, Any], key: str, names: tuple[str, ...], where: str) -> Shares:
    shares = section(mapping, key, where)
    check_keys(shares, names, [], f"{where}, {key}")
    found = {name: number(shares, name, f"{where}, {key}", *share_bounds(key, name)) for name in names}
    return Shares(velocity=found.get("velocity", 1.0), acceleration=found["acceleration"], jerk=found["jerk"])


def share_bounds(key: str, name: str) -> tuple[float, float]:
    """Lowest and highest valid value of ``operation`` and ``braking``."""
    return _SHARE[0], _LESS_THAN_ALL.get((key, name), _SHARE[1])


def _world_model(mapping: Mapping[str, Any], where: str) -> WorldModelConfig:
    found = section(mapping, "world_model", where)
    check_keys(found, ["required", *_WORLD_MODEL], [], f"{where}, world_model")
    values = {name: number(found, name, f"{where}, world_model", *bounds) for name, bounds in _WORLD_MODEL.items()}
    return WorldModelConfig(required=truth(found, "required", f"{where}, world_model"), **values)


def _deadman(mapping: Mapping[str, Any], where: str) -> DeadmanConfig:
    found, place = section(mapping, "deadman", where), f"{where}, deadman"
    check_keys(found, ["experts", "age_s"], [], place)
    experts = found["experts"]
    if not isinstance(experts, list) or not all(isinstance(expert, str) and expert for expert in experts):
        raise ConfigError(f"{place}: experts must be a list of names, [] where nobody guides the arm by hand, found {experts!r}.")
    return DeadmanConfig(tuple(experts), number(found, "age_s", place, *_DEADMAN_S))


def _numbers(mapping: Mapping[str, Any], key: str, bounds: Mapping[str, tuple[float, float]], where: str) -> dict[str, float]:
    found = section(mapping, key, where)
    check_keys(found, list(bounds), [], f"{where}, {key}")
    return {name: number(found, name, f"{where}, {key}", *bounds[name]) for name in bounds}


def _contact(mapping: Mapping[str, Any], where: str) -> ContactConfig:
    found, place = section(mapping, "contact", where), f"{where}, contact"
    check_keys(found, [*_CONTACT, "torque_nm"], [], place)
    torques = found["torque_nm"]
    if not isinstance(torques, list):
        raise ConfigError(f"{place}: torque_nm must be a list, a number for each joint or [] where none is measured, found {torques!r}.")
    each = {f"torque_nm[{i}]": torque for i, torque in enumerate(torques)}
    return ContactConfig(
        **{name: number(found, name, place, *_CONTACT[name]) for name in _CONTACT},
        torque_nm=tuple(number(each, name, place, *_TORQUE_NM) for name in each),
    )


def _timeouts(mapping: Mapping[str, Any], key: str, where: str) -> dict[str, float]:
    limits = section(mapping, key, where)
    return {str(name): number(limits, name, f"{where}, {key}", *_TIMEOUT_S) for name in limits}


def _check_order(config: SafetyConfig, where: str) -> None:
    """Values that must stand in an order to each other."""
    if config.braking.acceleration < config.operation.acceleration or config.braking.jerk < config.operation.jerk:
        raise ConfigError(f"{where}: braking must be at least as strong as operation (acceleration and jerk), or it could not stop it.")
    if config.tracking_latch_rad <= config.tracking_hold_rad:
        raise ConfigError(f"{where}: tracking_latch_rad must be above tracking_hold_rad ({config.tracking_hold_rad:g}).")
    if config.contact.torque_nm and config.joint_states_age_s >= GAP_S:
        raise ConfigError(f"{where}: joint_states_age_s must be below {GAP_S:g} where contact.torque_nm is given, or pushes are not felt.")
    if FORWARDER not in config.heartbeats:
        raise ConfigError(f"{where}: heartbeats must name {FORWARDER}, who passes commands on, with its longest silence, e.g. 0.5.")
