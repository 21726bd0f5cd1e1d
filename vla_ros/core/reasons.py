"""What each of the monitor's reasons means, and what to do about it: for the reference, `vla state` and whoever wants to tell a person."""

from __future__ import annotations

from dataclasses import dataclass

from vla_ros.core.decisions import SafetyReason


@dataclass(frozen=True)
class Meaning:
    """Sentences; code in backquotes."""

    what: str
    to_do: str


MEANINGS: dict[SafetyReason, Meaning] = {
    SafetyReason.OK: Meaning(
        "A chunk is followed as it is.",
        "Nothing.",
    ),
    SafetyReason.STARTING: Meaning(
        "The arm has not been anchored yet: it still moves, or has not stood for 0.1 s since it moved.",
        "Wait; bring the arm to rest if it moves.",
    ),
    SafetyReason.NO_CHUNK: Meaning(
        "Ready, and nothing is asked for.",
        "Send a goal (`vla goal`), or a chunk.",
    ),
    SafetyReason.CHUNK_SHAPE: Meaning(
        "Rows, columns, widths, the time between rows or the row that is continued are of no valid form.",
        "Mend the expert: `detail` names the field and what is valid. The next good chunk resumes.",
    ),
    SafetyReason.CHUNK_NOT_FINITE: Meaning(
        "A position, or the row at which another chunk is continued, is NaN or infinite.",
        "Mend the expert, or what it divides by. The next good chunk resumes.",
    ),
    SafetyReason.CHUNK_SPACE: Meaning(
        "The chunk's space is not known, or a chunk of the TCP is not given in the arm's base frame.",
        "Mend the expert: one of the spaces of ActionChunk.msg, in the arm's base frame.",
    ),
    SafetyReason.CHUNK_JOINTS: Meaning(
        "The columns are not the arm's joints (of the TCP: not those of its space), each once.",
        "Name each joint of config/robots/<robot>.yaml once; is it the expert of another robot?",
    ),
    SafetyReason.CHUNK_STALE: Meaning(
        "It was computed from what was seen too long ago, in the future or before the last hold; or the arm was held before it was judged.",
        "Is the expert slower than `chunk_age_s`, or its clock another one (`use_sim_time`)? A fresh chunk resumes.",
    ),
    SafetyReason.CHUNK_SEQUENCE: Meaning(
        "The chunk's number does not count up, or a newer one came before it was judged.",
        "Count up; two experts may have one name. What was passed before goes on.",
    ),
    SafetyReason.CHUNK_SOURCE: Meaning(
        "Another source's chunk is being followed; sources take over only from rest.",
        "Wait until the other one's motion has ended, or cancel its goal.",
    ),
    SafetyReason.CHUNK_JUMP: Meaning(
        "The chunk would begin, or continue another one, with a step.",
        "Let the chunk begin where the arm is commanded to be (`gated_command`), or say which chunk and row it continues.",
    ),
    SafetyReason.CHUNK_UNREACHABLE: Meaning(
        "No joints inside the limits bring the TCP along the chunk's rows, to 5 mm and 2 deg.",
        "Another way or posture of the hand, away from singular postures and the ends of the joints.",
    ),
    SafetyReason.CHUNK_EXHAUSTED: Meaning(
        "The chunk came to its last row; the arm rests there.",
        "Nothing, or a fresh chunk; an expert that is to go on is too slow.",
    ),
    SafetyReason.POSITION_LIMIT: Meaning(
        "A joint, the gripper's width or its force would pass its limit.",
        "Ask for a way that ends `position_margin_rad` before the limit; `vla home` leads away from it.",
    ),
    SafetyReason.VELOCITY_LIMIT: Meaning(
        "A joint or the TCP would pass its limit of velocity (refused or held), or the path is slowed to keep it (slowed).",
        "Slowed: nothing. Refused or held: ask for a slower or shorter way.",
    ),
    SafetyReason.ACCELERATION_LIMIT: Meaning(
        "A joint would need more acceleration than allowed, or could not be stopped after the next tick; or the "
        "path of a joint or of the TCP is slowed to keep its limit (slowed).",
        "Slowed: nothing. Refused or held: ask for a smoother way.",
    ),
    SafetyReason.WORKSPACE: Meaning(
        "The TCP would leave the workspace, along the chunk or while stopping.",
        "Ask for a way inside `workspace` of config/robots/<robot>.yaml; `vla home` leads back.",
    ),
    SafetyReason.COLLISION: Meaning(
        "A link or what the hand holds would come too near to another link, the table or an object.",
        "`detail` names the pair and the distance: move the thing away, or plan around it. `vla home` plans around what is seen.",
    ),
    SafetyReason.OBJECTS_STALE: Meaning(
        "What stands around the arm has not been reported, or not lately.",
        "Look whether depth_perception runs and sees the scene.",
    ),
    SafetyReason.WORLD_MODEL: Meaning(
        "The world model foresees something unsafe in the chunk that is followed.",
        "`detail` says what it foresees; another chunk resumes. If it is wrong, see `world_model/error`.",
    ),
    SafetyReason.SEPARATION: Meaning(
        "Something that moves, or is no known object, is near: the nearer it is to what is kept from it, the slower the chunk is followed.",
        "Step back, or move what has come away; it ends by itself.",
    ),
    SafetyReason.BLIND_ZONE: Meaning(
        "No camera with depth is turned to where the hand is: nobody would be seen coming there. Slower, as `blind_speed` says.",
        "Nothing, or turn a camera with depth there; `clearance.blind_speed` sets the pace.",
    ),
    SafetyReason.UNFORESEEN: Meaning(
        "The world model cannot tell what comes of the motion, or has not approved it in time: slowed or held, as "
        "`world_model` in config/safety/<robot>.yaml says.",
        "Look whether world_model runs and sees the objects; it ends with the next approval.",
    ),
    SafetyReason.SPEED_OVERRIDE: Meaning(
        "The chunk is followed at the pace of the speed override; at 0 the arm is held.",
        "`vla speed 1`, with nobody near the arm.",
    ),
    SafetyReason.JOINT_STATES_STALE: Meaning(
        "Joint states are missing, too old, incomplete or not finite.",
        "Look at the arm's driver and at joint_states: rate, names, clock. It ends by itself.",
    ),
    SafetyReason.TRACKING_ERROR: Meaning(
        "The measured arm is too far from where it was commanded to be; very far latches.",
        "Find out what keeps the arm from following: something in its way, its brakes, its own stop. A latched one: `vla reset` then.",
    ),
    SafetyReason.TIME_JUMP: Meaning(
        "The clock went back or leapt ahead; everything stamped before is forgotten and the arm is looked at anew.",
        "Nothing, once; again and again: mend the clock (NTP steps, `/clock`, a simulation that is started anew).",
    ),
    SafetyReason.HEARTBEAT: Meaning(
        "A node that motion depends on has been silent for too long.",
        "`detail` names the node: look at its log; the launch file starts it again. It ends by itself.",
    ),
    SafetyReason.DEADMAN: Meaning(
        "Whoever guides the arm by hand does not hold the switch: `safety/deadman` says so, or is silent. A fresh "
        "chunk resumes, of who is guided only while the switch is held.",
        "Press the switch and send a fresh chunk.",
    ),
    SafetyReason.CAMERA: Meaning(
        "A camera that the motion depends on is unusable, or its health report is too old.",
        "`detail` names the camera and its fault: cable, light, lens, rate. It ends by itself.",
    ),
    SafetyReason.CONTACT: Meaning(
        "A finger is pressed harder than allowed, or something pushes the arm; after a push it goes back a little.",
        "Clear what is pushed. It ends by itself; while the push lasts, `vla reset` lets the arm go back once more.",
    ),
    SafetyReason.SLIP: Meaning(
        "What is held has been slipping in the hand for longer than allowed.",
        "It ends when the hand holds again or opens; grasp anew, with more force where `config/handling.yaml` allows it.",
    ),
    SafetyReason.CONTACT_STALE: Meaning(
        "What the taxels feel, or the torques that a push is told by (`contact.torque_nm`), is missing or too old.",
        "Look whether tactile_perception runs and gets the sensors' data; it ends by itself.",
    ),
    SafetyReason.DRY_RUN: Meaning(
        "Dry run: the motion passed, and is held because nothing is sent to the arm, which stays where it is.",
        "Nothing, or launch without `dry_run`.",
    ),
    SafetyReason.REQUESTED: Meaning(
        "Somebody asked for a stop that does not latch.",
        "A fresh goal or chunk resumes.",
    ),
    SafetyReason.ESTOP: Meaning(
        "An emergency stop was asked for; latched.",
        "See to it that nobody is in danger, then `vla reset` (service `safety/reset`).",
    ),
    SafetyReason.BYPASS: Meaning(
        "Somebody else publishes to the arm's controller or as the monitor, or may send goals to a controller or switch "
        "controllers; latched.",
        "`detail` names it: end it, then `vla reset`.",
    ),
    SafetyReason.SELF_TEST: Meaning(
        "The self-test failed; nothing may move.",
        "`detail` names what failed: mend config/safety/<robot>.yaml or the robot's description, and start again.",
    ),
}
