"""A planner on any server that speaks the OpenAI chat completions interface and sees images (vLLM, llama.cpp, Ollama, a hosted one).

The model gets the camera image and the list of objects seen, and answers in JSON after a schema with steps over object ids. Its answer is
believed no more than anybody's: ids are looked up, and the plan passes ``validation`` like every other.
"""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import cv2
import httpx

from vla_ros.core.errors import ConfigError, PlanningError
from vla_ros.core.scene import Scene
from vla_ros.core.tasks import Plan, Relation
from vla_ros.core.things import SIDES
from vla_ros.core.yaml_files import check_keys
from vla_ros.planning.grammar import MAX_LENGTH
from vla_ros.planning.grounding import Ambiguous, NoSuchObject
from vla_ros.planning.plan import Capabilities, GoHome, Hold, Move, Step, build_plan, relation_for
from vla_ros.planning.planner import Image, replan_goal
from vla_ros.planning.validation import validate_plan

MAX_ANSWER_BYTES = 1_000_000
_RELATIONS = [Relation.IN.value, Relation.ON.value, *(r.value for r in SIDES)]
_RETRIED_STATUS = frozenset({408, 409, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True)
class Server:
    """Where the model is and how long to wait for it. ``base_url`` ends before "/chat/completions": "http://localhost:8000/v1"."""

    base_url: str
    model: str
    key_variable: str = ""  # name of the environment variable that holds the key; "" or unset: no key is sent
    timeout_s: float = 60.0  # of one attempt, from request to the last byte
    retries: int = 2  # after a failure that may pass
    retry_wait_s: float = 1.0  # before the first retry; doubled for each further one
    max_tokens: int = 2000


_OPTION_TYPES: dict[str, Callable[[Any], Any]] = {"timeout_s": float, "retries": int, "retry_wait_s": float, "max_tokens": int}


def server_options(options: Mapping[str, Any]) -> Server:
    """``Server`` from a planner's options. Raises ConfigError for a missing or unknown key or a value out of range."""
    check_keys(options, ("base_url", "model"), [f.name for f in fields(Server)], "options of the planner 'openai'")
    try:
        server = Server(**{key: _OPTION_TYPES.get(key, str)(value) for key, value in options.items()})
    except (TypeError, ValueError) as error:
        raise ConfigError(f"options of the planner 'openai': {error}") from error
    if not server.base_url.startswith(("http://", "https://")):
        raise ConfigError(f"options of the planner 'openai': base_url '{server.base_url}' must start with http:// or https://.")
    if server.timeout_s <= 0 or server.retries < 0 or server.retry_wait_s < 0 or server.max_tokens < 1:
        raise ConfigError(
            "options of the planner 'openai': timeout_s and max_tokens must be positive, retries and retry_wait_s not negative."
        )
    return server


_STEP = {
    "type": "object",
    "additionalProperties": False,
    "required": ["action", "object", "relation", "target"],
    "properties": {
        "action": {"type": "string", "enum": ["move", "pick", "home"]},
        "object": {"type": "string", "description": "id of the object; empty for home"},
        "relation": {"type": "string", "enum": [*_RELATIONS, ""], "description": "of a move; else empty"},
        "target": {"type": "string", "description": "id of what it is put in, on or beside; empty except for a move"},
    },
}
ANSWER_SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["explanation", "refusal", "question", "options", "steps"],
    "properties": {
        "explanation": {"type": "string", "description": "one or two sentences: why these steps"},
        "refusal": {"type": "string", "description": "why it cannot be done with what is seen; empty when it can"},
        "question": {"type": "string", "description": "what must be asked because several objects fit; empty otherwise"},
        "options": {"type": "array", "items": {"type": "string"}},
        "steps": {"type": "array", "items": _STEP},
    },
}
_SYSTEM = (
    "You plan for one robot arm with a two-finger gripper at a table. Write the steps that bring about what the user asks, in order. "
    "A 'move' picks an object up and puts it in, on, left_of, right_of, in_front_of or behind another; 'pick' picks it up and holds it; "
    "'home' moves the arm home. Directions are the robot's: left is +y, behind is +x. Things go 'in' bowls and 'on' everything else. "
    "Use only the ids that are listed. If what is asked for is not in the list, give a refusal that says so; if several objects fit, "
    "give a question and its options; in both cases no steps. A tower is built from the bottom up. Do no more than is asked."
)


class OpenAiPlanner:
    """See the module. One HTTP request for each plan; replanning goes on from the goal without asking the model again."""

    name = "openai"

    def __init__(self, capabilities: Capabilities, server: Server, wait: Callable[[float], None] = time.sleep) -> None:
        self._capabilities = capabilities
        self._server = server
        self._wait = wait

    def plan(self, instruction: str, scene: Scene, image: Image | None, now_ns: int) -> Plan:
        """Asks the model. Raises PlanningError when it refuses, does not answer, or answers with a plan that cannot be carried out."""
        if not instruction.strip():
            raise PlanningError('The instruction is empty. Say what to do, for example: "put the red cube in the blue bowl".')
        if len(instruction) > MAX_LENGTH:
            raise PlanningError(f"The instruction has {len(instruction)} characters; at most {MAX_LENGTH} are sent. Give it in parts.")
        answer = self._ask(self._request(instruction, scene, image))
        steps = _steps(answer, scene)
        explanation = f"{self._server.model}: {answer['explanation']}"
        plan = build_plan(instruction, steps, scene, self._capabilities, planner=self.name, explanation=explanation, now_ns=now_ns)
        validate_plan(plan, scene, self._capabilities)
        return plan

    def replan(self, failed: Plan, report: str, scene: Scene, now_ns: int) -> Plan:
        """See ``replan_goal``."""
        return replan_goal(failed, report, scene, self._capabilities, now_ns)

    def _request(self, instruction: str, scene: Scene, image: Image | None) -> dict[str, Any]:
        content: list[dict[str, Any]] = [{"type": "text", "text": f"Objects seen:\n{_object_list(scene)}\n\nThe user asks: {instruction}"}]
        if image is not None:
            content.append({"type": "image_url", "image_url": {"url": jpeg_data_url(image)}})
        return {
            "model": self._server.model,
            "messages": [{"role": "system", "content": _SYSTEM}, {"role": "user", "content": content}],
            "temperature": 0,
            "max_tokens": self._server.max_tokens,
            "response_format": {"type": "json_schema", "json_schema": {"name": "plan", "strict": True, "schema": ANSWER_SCHEMA}},
        }

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """The model's answer, checked for its shape. Raises PlanningError when the server does not give one."""
        failure = ""
        for attempt in range(self._server.retries + 1):
            if attempt:
                self._wait(self._server.retry_wait_s * 2 ** (attempt - 1))
            try:
                status, body = self._post(request)
            except httpx.TimeoutException:
                failure = f"did not answer within {self._server.timeout_s:g} s"
                continue
            except httpx.HTTPError as error:
                failure = f"cannot be reached ({type(error).__name__}: {error})"
                continue
            if status == 200:
                return _checked_answer(body)
            failure = f"answered with HTTP status {status}: {body[:200].decode('utf-8', 'replace')}"
            if status not in _RETRIED_STATUS:
                break
        raise PlanningError(f"The planning server at {self._server.base_url} {failure} (attempts: {attempt + 1}). Nothing was planned.")

    def _post(self, request: dict[str, Any]) -> tuple[int, bytes]:
        """Status and body of one attempt, whose whole time and size are bounded."""
        server = self._server
        key = os.environ.get(server.key_variable, "") if server.key_variable else ""
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        end_s = time.monotonic() + server.timeout_s
        url = f"{server.base_url.rstrip('/')}/chat/completions"
        with httpx.stream("POST", url, json=request, headers=headers, timeout=server.timeout_s) as response:
            body = bytearray()
            for chunk in response.iter_bytes():
                body += chunk
                if time.monotonic() > end_s:
                    raise httpx.ReadTimeout("the answer took too long")
                if len(body) > MAX_ANSWER_BYTES:
                    raise httpx.ReadError("the answer is too long")
            said = bytes(body)
            return response.status_code, said.replace(key.encode(), b"***") if key else said  # some servers repeat the key in their errors


def jpeg_data_url(image: Image) -> str:
    """An RGB image [height, width, 3] uint8 as a JPEG data URL. Raises PlanningError when it cannot be encoded."""
    if image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise PlanningError(f"The camera image has shape {image.shape}; expected [height, width, 3].")
    done, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 85])
    if not done:
        raise PlanningError("The camera image could not be encoded as JPEG.")
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode("ascii")


def _object_list(scene: Scene) -> str:
    rows = []
    for o in scene.objects:
        (x, y, z), (w, d, h) = o.pose.position_m, o.size_m * 100
        state = ", held by the gripper" if o.held else ""
        rows.append(f"- id {o.id}: {o.name}, middle at x={x:.3f} y={y:.3f} z={z:.3f} m, size {w:.0f}x{d:.0f}x{h:.0f} cm{state}")
    return "\n".join(rows) or "(nothing)"


def _checked_answer(body: bytes) -> dict[str, Any]:
    """The JSON in a chat completion, with the keys and types of the schema. Raises PlanningError saying what is wrong."""
    try:
        message = json.loads(body)["choices"][0]["message"]
        if message.get("refusal"):
            raise PlanningError(f"The model refuses: {str(message['refusal'])[:300]}")
        answer = json.loads(message["content"])
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise PlanningError(
            f"The planning server's answer is not the JSON that was asked for ({type(error).__name__}: {error}). Nothing was planned."
        ) from error
    kinds = {"explanation": str, "refusal": str, "question": str, "options": list, "steps": list}
    wrong = [k for k, kind in kinds.items() if not isinstance(answer, dict) or not isinstance(answer.get(k), kind)]
    if wrong:
        raise PlanningError(f"The planning server's answer lacks {', '.join(wrong)} or has another type there. Nothing was planned.")
    return dict(answer)


def _steps(answer: Mapping[str, Any], scene: Scene) -> list[Step]:
    if answer["refusal"].strip():
        raise PlanningError(f"The model says it cannot be done: {answer['refusal'].strip()[:300]} I see: {scene.describe()}.")
    if answer["question"].strip():
        raise Ambiguous(answer["question"].strip()[:300], [str(o) for o in answer["options"]])
    if not answer["steps"]:
        raise PlanningError(f"The model gave no steps and no reason. I see: {scene.describe()}.")
    return [_step(step, scene) for step in answer["steps"]]


def _step(step: Any, scene: Scene) -> Step:
    if not isinstance(step, dict) or any(not isinstance(step.get(k), str) for k in ("action", "object", "relation", "target")):
        raise PlanningError(f"The model's step {json.dumps(step)[:120]} is not of the form that was asked for. Nothing was planned.")
    action, thing = step["action"], step["object"]
    if action == "home":
        return GoHome()
    if action not in ("move", "pick"):
        raise PlanningError(f"The model asks for '{action[:40]}', which is none of move, pick, home. Nothing was planned.")
    for object_id in (thing, step["target"]) if action == "move" else (thing,):
        if scene.get(object_id) is None:
            raise NoSuchObject(f"The model's plan names '{object_id[:40]}', which is not there. I see: {scene.describe()}.")
    if action == "pick":
        return Hold(thing)
    target = scene.get(step["target"])
    if step["relation"] not in _RELATIONS or target is None:
        raise PlanningError(
            f"The model asks for the relation '{step['relation'][:40]}'; valid: {', '.join(_RELATIONS)}. Nothing was planned."
        )
    return Move(thing, relation_for(Relation(step["relation"]), target), target.id)
