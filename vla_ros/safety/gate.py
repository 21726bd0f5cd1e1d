"""The gate: chunks and measurements go in, one short trajectory that ends at rest comes out of each tick.

It fails closed. Without fresh inputs, a passed self-test and an accepted chunk nothing moves, and whatever goes wrong ends in the stop
that was verified before the motion was committed. All times are passed in: ``now_ns`` is ROS time, ``steady_ns`` a steady clock.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from vla_ros.core.actions import ActionChunk, GatedCommand, SafetyAction
from vla_ros.core.decisions import UNTIMELY, SafetyDecision, SafetyMode, SafetyReason, SafetyState, Verdict
from vla_ros.core.geometry import Array
from vla_ros.core.robot_state import ContactState, JointState
from vla_ros.core.scene import CameraHealth, Scene
from vla_ros.core.tasks import Plan
from vla_ros.robots import Arm
from vla_ros.safety.astray import Astray
from vla_ros.safety.blind_zones import BlindZones
from vla_ros.safety.chunk_checks import TCP_SPACES, Accepted, ChunkDoor, ChunkId, Context, Refusal
from vla_ros.safety.chunk_desk import ChunkDesk, Order
from vla_ros.safety.clock import LEAP_NS, Clock
from vla_ros.safety.config import SafetyConfig
from vla_ros.safety.faults import FUTURE_S, Fault
from vla_ros.safety.foresight import Foresight
from vla_ros.safety.gripper_plan import GripperPlan
from vla_ros.safety.inputs import ANCHOR_STEP_RAD, Inputs, Measured
from vla_ros.safety.journal import Journal, Status, following_status
from vla_ros.safety.motion_guard import Following, MotionGuard
from vla_ros.safety.pace import Pace
from vla_ros.safety.retreat import STEP_S, Retreat
from vla_ros.safety.self_test import SelfTest, run_self_test
from vla_ros.safety.surroundings import Nearest, Surroundings
from vla_ros.safety.tcp_rows import Turning, Unreached
from vla_ros.safety.tracker import Progress

HOLD_NS = 500_000_000  # a hold lasts at least this long, so that everybody sees it
SETTLES_NS = 100_000_000  # for so long an arm that moved must have stood before its command begins anew where it stands
SCENE_AHEAD_NS = round(FUTURE_S * 1e9) + LEAP_NS  # a scene may be stamped this far ahead of the last tick, which may be so far back
EXPERTS_KEPT = 64  # whose last sequence numbers are remembered
# Nothing may wait at speed 0 for the speed to be raised: whoever asked for it may be gone, and whoever raises it does not expect motion.
_STANDSTILL = Fault(SafetyReason.SPEED_OVERRIDE, "The speed override is 0: nothing moves until it is raised (vla speed, safety/set_speed).")


@dataclass(frozen=True)
class Hold:
    """Why the arm is held, or stopped for good."""

    fault: Fault
    last_ns: int  # when the fault was last seen


class Gate:
    """For one arm. ``tick`` is called once for each period of ``config.tick_s`` (jitter does no harm), everything else when it arrives."""

    def __init__(
        self, arm: Arm, config: SafetyConfig, self_test: Callable[[Arm, SafetyConfig], SelfTest] = run_self_test, *, session: int = 0
    ) -> None:
        """``session`` tells the commands of this gate from those of one before or beside it."""
        self._session = session
        self._arm, self._config = arm, config
        self._door = ChunkDoor(arm, config)
        self._inputs = Inputs(arm, config)
        self._surroundings = Surroundings(arm, config)
        self._blind_zones = BlindZones(arm, config)
        self._journal = Journal()
        self._run_self_test = self_test
        self._self_test = self_test(arm, config)
        self._guard: MotionGuard | None = None  # None: not anchored to the measured arm yet
        self._moved_ns = -SETTLES_NS  # when it was last seen to move without being anchored, by the steady clock
        self._following: Following | None = None
        self._retreat = Retreat(config.contact.retreat_rad)
        self._astray = Astray(config.at_rest_radps)
        self._hold: Hold | None = None
        self._faulty = False  # as of the last tick
        self._cut = False  # brake from the next tick on
        self._was_busy = False  # since the last tick, with a chunk or a scene
        self._leap: Fault | None = None  # of the clock, since when the arm has not been looked at anew
        self._speed = 1.0
        self._nearness: Pace | None = None  # to what moves, as of the last tick
        self._blindness: Pace | None = None  # of the cameras to where the hand is
        self._clock = Clock()
        self._not_before_ns = 0
        self._seen: dict[str, tuple[int, int]] = {}  # expert -> last sequence number and stamp
        self._desk = ChunkDesk()
        self._foresight = Foresight(config.world_model)
        self._seq = 0
        self._gripper = GripperPlan(arm.config.gripper.width_open_m)

    # --- what arrives -------------------------------------------------------------------------------------------------

    def on_joint_state(self, state: JointState) -> None:
        """What the arm's joints measure."""
        self._inputs.on_joint_state(state)

    def on_contact(self, contact: ContactState) -> None:
        """What the fingers feel."""
        self._inputs.contact.on_contact(contact)

    def on_camera_health(self, health: CameraHealth) -> None:
        """Whether a camera's images can be acted on."""
        self._inputs.on_camera_health(health)

    def on_scene(self, scene: Scene) -> None:
        """What perception sees: every tick that is committed from now on keeps clear of it. Raises ValueError for what is no scene."""
        measured = self._inputs.measured
        if self._guard is not None:
            position = self._guard.horizon.position_at(scene.stamp_ns)
        elif measured is not None:
            position = measured.positions
        else:
            return  # without the arm it cannot be told how what is held lies in the hand
        known_ns = max(self._now_ns, measured.stamp_ns if measured else 0)
        if scene.stamp_ns > known_ns + SCENE_AHEAD_NS:
            raise ValueError(f"the scene's stamp lies {(scene.stamp_ns - known_ns) * 1e-9:.2f} s in the future")
        if scene.stamp_ns < self._inputs.scene_ns:
            return  # a newer one has come before it
        has_changed = self._surroundings.on_scene(scene, self._arm.fk(position), self._now_ns)
        self._was_busy = True
        self._inputs.on_scene(scene.stamp_ns)
        if has_changed and self._guard is not None and (fault := self._guard.committed_fault(self._now_ns)):
            self._stop_for(fault)

    def on_plan(self, plan: Plan) -> None:
        """The plan in force, for the contacts that its subtasks mean."""
        self._surroundings.on_plan(plan)

    def on_heartbeat(self, node: str, steady_ns: int, *, dry_run: bool = False) -> None:
        """A node's sign of life; ``dry_run``: it sends nothing to the arm, so that the arm's standing still is no fault of its own."""
        self._inputs.on_heartbeat(node, steady_ns, dry_run=dry_run)

    def on_deadman(self, is_pressed: bool, steady_ns: int) -> None:
        """The switch of whoever guides the arm by hand: what ``config.deadman`` names moves only while it is pressed."""
        self._inputs.on_deadman(is_pressed, steady_ns)

    def on_world_model(self, chunk: ChunkId, verdict: Verdict, detail: str) -> None:
        """The world model's verdict about a chunk: REJECT holds the arm while it follows that chunk or one that continues it.

        Without an APPROVE in time the motion is slowed, or held: ``config.world_model``.
        """
        following, counts = self._following, self._foresight.answer(chunk, verdict, detail)
        if verdict is Verdict.REJECT and counts and following and not following.finished and not self._is_going_back:
            self._stop_for(Fault(SafetyReason.WORLD_MODEL, detail))

    def on_chunk(self, chunk: ActionChunk, now_ns: int) -> SafetyDecision | None:
        """Judges a chunk; a passed one is followed from the end of the committed look-ahead on.

        None: it is one of the TCP, which takes several ticks to judge, or the next tick has enough to do; the decision is among those that
        are drained then.
        """
        if before := self._desk.take_joints(chunk.expert, chunk.continues_seq):  # else this one would continue what was never followed
            self._decide(before, self._verdict(before, now_ns), now_ns)
        order = Order(chunk, self._surroundings.subtask(chunk.subtask_id))
        is_joints = chunk.space not in TCP_SPACES
        if is_joints and not self._owes_ticks and not self._desk.has_joints:
            return self._decide(order, self._verdict(order, now_ns), now_ns)
        if refusal := self._formal_fault(order, now_ns, self._desk.newest(chunk.expert)):
            return self._refuse(chunk, refusal, now_ns)
        if given_up := (self._desk.put_joints if is_joints else self._desk.put)(order):
            newer = Refusal(SafetyReason.CHUNK_SEQUENCE, "A newer one came before it could be judged.")
            self._turn_down(given_up.chunk, newer, now_ns)
        return None

    def estop(self, source: str) -> None:
        """Brakes from the next tick on and stays still until ``reset``."""
        detail = f"Emergency stop by {source}; reset it to go on (vla reset, safety/reset)."
        self._stop_for(Fault(SafetyReason.ESTOP, detail, cut=True, latch=True))

    def bypass(self, what: str) -> None:
        """Somebody else commands the arm: brakes and latches, as an emergency stop; ``what`` says who, as a clause."""
        detail = f"Stopped because {what}; end it, then reset (vla reset, safety/reset)."
        self._stop_for(Fault(SafetyReason.BYPASS, detail, cut=True, latch=True))

    def keep_stopped(self, stop: Fault) -> None:
        """A stop that was latched before this gate was made (``stop.latch``): it holds until ``reset``."""
        self._stop_for(stop)

    def hold(self, source: str) -> None:
        """Brakes without latching, for a goal that was cancelled: what was followed is given up, a fresh chunk resumes."""
        self._stop_for(Fault(SafetyReason.REQUESTED, f"{source} asked for a stop.", cut=True))

    def set_speed(self, speed: float) -> None:
        """Override of the pace of all motion; at 0 the arm is held, and what was followed is given up. Raises ValueError outside 0-1."""
        if not 0.0 <= speed <= 1.0:
            raise ValueError(f"The speed override must be 0 to 1, got {speed}.")
        self._speed = float(speed)

    def reset(self) -> tuple[bool, str]:
        """Unlatches a stop: needs fresh joint states, an arm at rest and a passed self-test. Starts again from the measured position."""
        if not self._latched and self._hold and self._hold.fault.retreat:
            self._retreat.once_more()
            return True, "The arm is still pushed; it goes back once more."
        if not self._latched:
            return True, "Nothing to reset: no stop is latched."
        fault = self._inputs.joint_fault(self._now_ns)
        measured = self._inputs.measured
        if fault or measured is None:
            return False, f"Not reset: {fault.detail if fault else 'no joint states.'}"
        if measured.speed_radps > self._config.at_rest_radps or (
            self._guard is not None and not self._guard.horizon.is_still(self._now_ns)
        ):
            return False, f"Not reset: the arm still moves ({measured.speed_radps:.3f} rad/s)."
        self._self_test = self._run_self_test(self._arm, self._config)
        if not self._self_test.passed:
            return False, f"Not reset: {self._self_test.detail}"
        if self._guard is None:
            return False, "Not reset: the arm has to stand still for a moment before its commands can begin there; ask again."
        self._hold = None
        self._not_before_ns = self._now_ns
        self._anchor(measured)
        return True, "Reset: the monitor is ready for a fresh chunk."

    # --- what goes out ------------------------------------------------------------------------------------------------

    def tick(self, now_ns: int, steady_ns: int) -> GatedCommand | None:
        """The command of this tick; None as long as no joint states have been seen (then nothing may be commanded)."""
        if leap := self._clock.tick(now_ns, steady_ns):
            self._start_anew(leap)
        self._inputs.drop_future(self._now_ns)
        self._meet_the_arm(self._now_ns)
        fault = self._fault()
        self._faulty = fault is not None
        if fault and self._is_going_back and fault.retreat:
            self._hold = Hold(fault, self._now_ns)
        elif fault:
            self._stop_for(fault)
        elif self._hold and self._lasts(self._hold.fault):
            self._hold = Hold(self._hold.fault, self._now_ns)  # a chunk that does not need what is missing may still end it
        elif self._hold and not self._latched and self._now_ns - self._hold.last_ns >= HOLD_NS and self._at_rest and not self._following:
            self._hold = None
        if self._guard is None:
            self._journal.note(self._status(), self._now_ns)
            return None
        if self._cut:
            self._guard.cut(self._now_ns)
        self._cut = False
        is_fresh = self._work_at_desk()
        if not self._is_going_back:
            self._retreat.trail.note(self._guard.horizon.position_at(self._now_ns))
        self._go_back(self._guard)
        if not is_fresh:
            self._hold_unforeseen()
        self._following, unsafe = self._advance(self._guard)
        if unsafe:
            self._stop_for(unsafe)
        status = self._status()
        self._journal.note(status, self._now_ns)
        return self._command(self._guard, status)

    @property
    def followed_chunk(self) -> ActionChunk | None:
        """An expert's chunk that is followed, its rows as joint positions; None where none is."""
        return self._following.accepted.chunk if self._following and not self._is_going_back else None

    @property
    def latched(self) -> Fault | None:
        """The stop that only ``reset`` ends, or None."""
        return self._hold.fault if self._hold and self._hold.fault.latch else None

    def drain_decisions(self) -> list[SafetyDecision]:
        """The decisions since the last call: one for each chunk, and for each change of action, reason or a chunk's limiting joint."""
        return self._journal.drain()

    def nearest(self) -> Nearest:
        """The nearest pair of bodies where the arm is commanded to be. It takes half a millisecond."""
        guard = self._guard
        return self._surroundings.nearest(guard.posture(guard.horizon.state.position)) if guard else Nearest.unknown()

    def committed_path_m(self) -> Array:
        """[n, 3] where the TCP goes from now on if nothing else comes: what is committed, and the stop after it."""
        guard = self._guard
        return self._arm.tcp_positions(guard.horizon.rows_from(guard.horizon.tick_at(self._now_ns))) if guard else np.zeros((0, 3))

    def state(self) -> SafetyState:
        """As of the last tick, without the nearest pair."""
        status = self._status()
        return SafetyState(
            stamp_ns=self._now_ns,
            mode=self._mode(status),
            reason=status.reason,
            detail=status.detail,
            speed_override=self._speed,
            input_ages_s=self._inputs.ages_s(self._now_ns, self._steady_ns),
            self_test_passed=self._self_test.passed,
            self_test_detail=self._self_test.detail,
        )

    # --- inside -------------------------------------------------------------------------------------------------------

    @property
    def _latched(self) -> bool:
        return self.latched is not None

    @property
    def _at_rest(self) -> bool:
        return self._guard is None or self._guard.horizon.at_rest

    @property
    def _owes_ticks(self) -> bool:
        """Whether the next tick commits what the last one did not."""
        return self._guard is not None and self._guard.owes_ticks and self._following is not None

    @property
    def _now_ns(self) -> int:
        return self._clock.now_ns

    @property
    def _steady_ns(self) -> int:
        return self._clock.steady_ns

    def _start_anew(self, leap: str) -> None:
        """After a leap nothing is commanded: the controller ends its last message, and its stop, by its own clock."""
        self._not_before_ns = self._now_ns
        self._guard, self._moved_ns = None, self._steady_ns
        self._inputs.forget_stamps()
        self._foresight.forget()
        self._seen = {expert: (seq, 0) for expert, (seq, _) in self._seen.items()}
        self._gripper.give_up()
        if self._hold and not self._latched:
            self._hold = None
        self._leap = Fault(SafetyReason.TIME_JUMP, f"The clock {leap}; the arm is looked at anew.")
        self._stop_for(self._leap)

    def _fault(self) -> Fault | None:
        """What forbids motion now; anchors the gate when it is not yet."""
        if not self._self_test.passed:
            return Fault(SafetyReason.SELF_TEST, self._self_test.detail)
        if self._guard is None:
            return self._try_anchor()
        following = self._following
        finished = following is not None and following.finished
        tracking = self._inputs.tracking_fault(self._guard.horizon.position_at, finished)
        if tracking and tracking.latch:
            return tracking
        fault = self._inputs.fault(self._now_ns, self._steady_ns)
        if following and not finished and not self._is_going_back:
            fault = fault or self._missing(following.accepted.chunk)
        return fault or tracking or (_STANDSTILL if self._speed == 0.0 else None)

    def _try_anchor(self) -> Fault | None:
        fault = self._inputs.joint_fault(self._now_ns)
        measured = self._inputs.measured
        if fault or measured is None:
            return replace(self._leap, detail=f"{self._leap.detail} {fault.detail}") if fault and self._leap else fault
        if measured.speed_radps > self._config.at_rest_radps:
            self._moved_ns = self._steady_ns
            return Fault(SafetyReason.STARTING, f"Waiting for the arm to stand still ({measured.speed_radps:.3f} rad/s).")
        if self._steady_ns - self._moved_ns < SETTLES_NS:  # one that is about to come to rest is as slow
            return Fault(SafetyReason.STARTING, "Waiting for the arm to stand still for a while.")
        self._anchor(measured)
        return None

    def _anchor(self, measured: Measured) -> None:
        """The commanded curve starts anew, at rest, where the arm was measured."""
        position = measured.positions
        if self._guard is not None:
            commanded = self._guard.horizon.rest_position
            if np.abs(commanded - position).max() <= ANCHOR_STEP_RAD:
                position = commanded
        self._leap = None
        self._retreat.trail.clear()
        self._guard = MotionGuard(self._arm, self._config, self._surroundings, position, self._now_ns)
        self._following = None

    def _meet_the_arm(self, now_ns: int) -> None:
        """At rest the command goes to where an arm that is astray really stands; else it would be driven against what keeps it there.

        No chunk could begin there either. On the way it is stopped first: the forwarder would refuse for ever what does not continue the
        arm's own motion.
        """
        measured = self._inputs.measured
        if self._guard is None or measured is None or self._latched or self._inputs.joint_fault(now_ns):
            self._astray.forget()
            return
        idle = self._at_rest and (self._following is None or self._following.finished)
        commanded = self._guard.horizon.rest_position if idle else self._guard.horizon.position_at(measured.stamp_ns)
        off_rad = self._astray.off_rad(measured, commanded, now_ns)
        if off_rad and idle:
            self._anchor(measured)
        elif off_rad and not self._inputs.dry_run:
            detail = f"The arm stands still {off_rad:.3f} rad off the commanded position; its commands do not arrive."
            self._stop_for(Fault(SafetyReason.TRACKING_ERROR, detail, cut=True))

    @property
    def _is_going_back(self) -> bool:
        """A hold gives up what is followed: what is followed while it lasts is the way back."""
        return self._hold is not None and self._following is not None

    def _go_back(self, guard: MotionGuard) -> None:
        """After a push, once at rest, goes back a little the way that the arm has come; not on, where the push grows with it."""
        push = self._inputs.contact.push
        if self._is_going_back:
            is_worse = self._retreat.is_worse(push)
            if is_worse or not self._speed or (self._following and self._following.finished):
                self._following = None
                if is_worse:
                    guard.cut(self._now_ns)
            return
        due = self._hold is not None and self._hold.fault.retreat and self._retreat.is_due
        if not due or not (guard.horizon.is_still(self._now_ns) or not self._speed):
            return
        rows = self._retreat.begin(push, guard.horizon.rest_position, allowed=self._speed > 0)  # at speed 0 as all motion is given up
        if rows is not None and self._inputs.contact.leads_away(rows[1] - rows[0]):
            self._following = Following(self._door.own_way(rows, STEP_S), Progress(0.0))

    def _missing(self, chunk: ActionChunk) -> Fault | None:
        """What this chunk needs beyond what any motion needs: cameras, the planner, or a switch that a person holds."""
        return self._inputs.partial_fault(
            self._now_ns,
            self._steady_ns,
            vision=_sees(chunk),
            planned=bool(chunk.subtask_id),
            guided=chunk.expert in self._config.deadman.experts,
        )

    def _lasts(self, fault: Fault) -> bool:
        """Whether what only some motion needs is missing yet."""
        return bool(self._inputs.partial_fault(self._now_ns, self._steady_ns, vision=fault.vision, planned=fault.planned))

    def _stop_for(self, fault: Fault) -> None:
        """Holds (or latches); what was followed is given up, and what was about to be."""
        if self._latched:
            return
        for order in self._desk.clear():
            given_up = Refusal(SafetyReason.CHUNK_STALE, f"Given up before it was judged, since the arm was held: {fault.detail}")
            self._turn_down(order.chunk, given_up, self._now_ns)
        fresh = self._hold is None or self._following is not None or (fault.cut and not self._hold.fault.cut)
        if fault.retreat and not (self._hold and self._hold.fault.retreat):
            self._retreat.pushed(under_way=self._guard is not None and not self._guard.horizon.is_still(self._now_ns))
        self._hold = Hold(fault, self._now_ns)
        self._not_before_ns = self._now_ns
        self._following = None
        self._gripper.give_up()
        if fault.reason is SafetyReason.CONTACT:  # no harder than what is held bears
            self._gripper.soften(self._inputs.contact.handling.grip_n)
        self._cut = self._cut or (fault.cut and fresh)

    def _hold_unforeseen(self) -> None:
        """Where what is not foreseen may not move at all; the next chunk is asked about, and held as well until one is approved.

        One that was taken in this tick is not held before the next one: it has to be followed to be asked about. Its pace is 0 meanwhile.
        """
        following = self._following
        if self._config.world_model.unknown_speed > 0.0 or following is None or following.finished or self._is_going_back:
            return
        if doubt := self._foresight.doubt(self._now_ns):
            self._stop_for(Fault(SafetyReason.UNFORESEEN, doubt))

    def _formal_fault(self, order: Order, now_ns: int, waiting: tuple[int, int] = (0, 0)) -> Refusal | None:
        """Why a chunk cannot be taken now, whatever way its rows are; ``waiting``: see ``_context``."""
        return self._closed(order.chunk) or self._door.formal_fault(order.chunk, self._context(order, now_ns, waiting))

    def _verdict(self, order: Order, now_ns: int, turned: Array | Unreached | None = None) -> Accepted | Refusal:
        self._was_busy = True
        return self._closed(order.chunk) or self._door.judge(order.chunk, self._context(order, now_ns), turned)

    def _decide(self, order: Order, verdict: Accepted | Refusal, now_ns: int) -> SafetyDecision:
        """Follows a chunk from now on, or refuses it."""
        chunk = order.chunk
        if isinstance(verdict, Refusal):
            return self._refuse(chunk, verdict, now_ns)
        self._remember(chunk)
        self._surroundings.expect(order.subtask)
        self._inputs.contact.handling = self._surroundings.handling(order.subtask)
        velocity = self._guard.horizon.state.velocity if self._guard else np.zeros(self._arm.config.dof)
        self._foresight.follow(ChunkId(chunk.expert, chunk.seq, chunk.stamp_ns), now_ns, continued=verdict.continued)
        progress = Progress(verdict.row, verdict.path.entry_pace(verdict.row, velocity))
        waits_already = self._following is not None and not self._following.knows_tcp  # of a chunk in each tick none would ever know
        self._following = Following(verdict, progress, tcp_may_wait=not waits_already)
        self._hold = None
        self._retreat.forget()
        return self._journal.note(self._following_status(self._following, now_ns), now_ns)

    def _work_at_desk(self) -> bool:
        """A chunk of the TCP comes a little farther; in the tick after it is done, it is judged as any other one that waits.

        Returns whether one was.
        """
        if ready := self._desk.go_on(self._begin_to_turn, may_judge=not self._owes_ticks):
            self._decide(ready.order, self._verdict(ready.order, self._now_ns, ready.joints), self._now_ns)
        return ready is not None

    def _begin_to_turn(self, order: Order) -> Turning | None:
        if refusal := self._formal_fault(order, self._now_ns):
            self._refuse(order.chunk, refusal, self._now_ns)
            return None
        return self._door.turning(order.chunk, self._context(order, self._now_ns))

    def _closed(self, chunk: ActionChunk) -> Refusal | None:
        """Why no chunk at all can be taken now."""
        if self._hold and (self._latched or self._faulty or self._is_going_back or self._hold.fault.reason == SafetyReason.REQUESTED):
            return Refusal(self._hold.fault.reason, f"No chunk is taken now. {self._hold.fault.detail}")
        if self._guard is None:
            return Refusal(SafetyReason.STARTING, "No chunk is taken before joint states have been seen.")
        fault = self._missing(chunk)
        return Refusal(fault.reason, fault.detail) if fault else None

    def _context(self, order: Order, now_ns: int, waiting: tuple[int, int] = (0, 0)) -> Context:
        """``waiting``: the number and the stamp that it has to be newer than, besides those of the chunk before it."""
        assert self._guard is not None  # _closed has seen to it
        chunk = order.chunk
        horizon, following = self._guard.horizon, self._following
        seq, stamp_ns = max(self._seen.get(chunk.expert, (0, 0)), waiting)
        busy = following is not None and not following.finished
        return Context(
            now_ns=now_ns,
            position=horizon.state.position,
            moving=busy or not horizon.at_rest,
            followed=following.followed if following else None,
            last_seq=seq,
            last_stamp_ns=stamp_ns,
            not_before_ns=self._not_before_ns,
            handling=self._surroundings.gentlest(order.subtask),
        )

    def _turn_down(self, chunk: ActionChunk, refusal: Refusal, now_ns: int) -> SafetyDecision:
        """Says why a chunk is not followed."""
        status = Status(SafetyAction.HOLD, refusal.reason, refusal.detail, 0.0, chunk.seq, chunk.trace_id, joint=refusal.joint)
        return self._journal.enter(status, now_ns)

    def _refuse(self, chunk: ActionChunk, refusal: Refusal, now_ns: int) -> SafetyDecision:
        """Says why; what the followed expert gets wrong (or anybody, when nothing is followed) stops the arm too."""
        decision = self._turn_down(chunk, refusal, now_ns)
        mine = self._following is None or self._following.finished or self._following.accepted.chunk.expert == chunk.expert
        if mine and not self._faulty and not self._is_going_back and refusal.reason not in UNTIMELY:
            self._remember(chunk)
            fault = self._missing(chunk) or Fault(refusal.reason, refusal.detail)
            asked = self._hold.fault if self._hold and self._hold.fault.reason == SafetyReason.REQUESTED else None  # known already
            self._stop_for(asked or replace(fault, detail=f"Chunk {chunk.seq} of '{chunk.expert}' was refused: {refusal.detail}"))
        return decision

    def _remember(self, chunk: ActionChunk) -> None:
        self._seen.pop(chunk.expert, None)
        self._seen[chunk.expert] = (chunk.seq, chunk.stamp_ns)
        if len(self._seen) > EXPERTS_KEPT:
            self._seen.pop(next(iter(self._seen)))

    def _advance(self, guard: MotionGuard) -> tuple[Following | None, Fault | None]:
        measured = self._inputs.measured
        guard.width_m = self._gripper.widest_m(measured.width_m if measured else float("nan"))
        moving = self._following is not None and not self._following.finished
        position = guard.horizon.state.position
        self._nearness = self._surroundings.nearness(guard.posture(position)) if moving else None
        self._blindness = self._blind_zones.pace(self._arm.fk(position)[:3, 3]) if moving else None
        following, fault = guard.advance(self._now_ns, self._following, self._pace(self._now_ns).share, may_wait=self._was_busy)
        self._was_busy = False
        if following and (unsafe := self._gripper.follow(guard, following)):
            following, fault = None, fault or unsafe
        self._gripper.reach(guard.horizon.tick_at(self._now_ns))
        return following, fault

    def _pace(self, now_ns: int) -> Pace:
        """The slowest that anything asks for."""
        asked = [Pace(self._speed)]
        if (doubt := self._foresight.doubt(now_ns)) and not self._is_going_back:  # that way it has come
            asked.append(Pace(self._config.world_model.unknown_speed, SafetyReason.UNFORESEEN, doubt))
        asked += [pace for pace in (self._nearness, self._blindness) if pace]
        return min(asked, key=lambda pace: pace.share)

    def _status(self) -> Status:
        if self._hold:
            fault = self._hold.fault
            action = SafetyAction.STOP if fault.latch else SafetyAction.HOLD
            return Status(action, fault.reason, fault.detail, 0.0, joint=fault.limiting, clearance_m=fault.margin_m)
        if self._guard is None:
            return Status(SafetyAction.HOLD, SafetyReason.STARTING, "Starting.", 0.0)
        if self._following is None:
            slowly = f" The speed override is {self._speed:g}." if self._speed < 1.0 else ""
            return Status(SafetyAction.PASS, SafetyReason.NO_CHUNK, f"Ready; no chunk is being followed.{slowly}")
        return self._following_status(self._following, self._now_ns)

    def _following_status(self, following: Following, now_ns: int) -> Status:
        return following_status(following, self._pace(now_ns))

    def _mode(self, status: Status) -> SafetyMode:
        if status.action == SafetyAction.STOP:
            return SafetyMode.STOPPED_LATCHED
        if self._guard is None or not self._self_test.passed:
            return SafetyMode.STARTING
        if status.action == SafetyAction.HOLD:
            return SafetyMode.HOLDING
        return SafetyMode.SLOWED if status.action == SafetyAction.SLOW or self._speed < 1.0 else SafetyMode.READY

    def _command(self, guard: MotionGuard, status: Status) -> GatedCommand:
        self._seq += 1
        following = self._following
        return GatedCommand(
            seq=self._seq,
            stamp_ns=self._now_ns,
            action=status.action,
            trajectory=guard.horizon.message(self._now_ns),
            speed_scale=following.progress.pace if following else 0.0,
            chunk_seq=status.chunk_seq,
            chunk_row=following.progress.row if following else 0.0,
            trace_id=status.trace_id,
            decision_id=self._journal.current_id,
            gripper_width_m=self._gripper.width_m,
            gripper_force_n=self._gripper.force_n,
            session=self._session,
        )


def _sees(chunk: ActionChunk) -> bool:
    """Whether a chunk rests on what cameras saw: unless it names its inputs and they are joint states alone."""
    return not chunk.input_stamps_ns or not set(chunk.input_stamps_ns) <= {"joint_states"}
