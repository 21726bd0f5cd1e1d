"""The planner on an OpenAI-compatible server, against a real HTTP server process."""

from __future__ import annotations

import hashlib
import json
import logging
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from fake_openai_server import picture_in, served
from planning_scene import table

from vla_ros.core.errors import ConfigError, PlanningError
from vla_ros.planning.grounding import Ambiguous, NoSuchObject
from vla_ros.planning.openai_planner import OpenAiPlanner, jpeg_data_url, server_options
from vla_ros.planning.plan import Capabilities
from vla_ros.planning.planner import make_planner

CAPABILITIES = Capabilities(gripper_open_m=0.08, reachable=lambda position: True)
IMAGE = np.zeros((48, 64, 3), dtype=np.uint8)
KEY = "sk-secret-of-the-test"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with served() as base_url:
        yield base_url


def planner(url: str, model: str, waits: list[float] | None = None, **options: Any) -> OpenAiPlanner:
    server = server_options({"base_url": url, "model": model, "key_variable": "TEST_OPENAI_KEY", "timeout_s": 60.0, **options})
    return OpenAiPlanner(CAPABILITIES, server, wait=(waits if waits is not None else []).append)


def answer(*steps: dict[str, str], **fields: Any) -> str:
    return "json:" + json.dumps({"explanation": "because", "refusal": "", "question": "", "options": [], "steps": list(steps), **fields})


def move(thing: str, relation: str, target: str, action: str = "move") -> dict[str, str]:
    return {"action": action, "object": thing, "relation": relation, "target": target}


def ask(planner: OpenAiPlanner, image: np.ndarray | None = IMAGE) -> Any:
    return planner.plan("put the red cube in the bowl", table(), image, 5)


def test_answer_becomes_a_validated_plan(url: str) -> None:
    plan = ask(planner(url, answer(move("red_cube", "in", "blue_bowl"), move("", "", "", "home"))))
    assert [s.description for s in plan.subtasks] == ["pick up the red cube", "place the red cube in the blue bowl", "go home"]
    assert [str(p) for p in plan.goal] == ["in(red_cube, blue_bowl)", "at_home()"]
    assert (plan.planner, plan.stamp_ns) == ("openai", 5)
    assert plan.explanation.endswith("because")


def test_request_carries_objects_and_key(url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("TEST_OPENAI_KEY", KEY)
    caplog.set_level(logging.DEBUG)
    with pytest.raises(PlanningError) as caught:
        ask(planner(url, "echo"))
    said = str(caught.value)
    assert '"path": "/v1/chat/completions"' in said
    assert hashlib.sha256(f"Bearer {KEY}".encode()).hexdigest()[:16] in said
    assert "id red_cube: red cube, middle at" in said
    assert KEY not in caplog.text


def sent(url: str) -> Any:
    """The newest request that the server got."""
    return httpx.get(url).json()


def test_request_carries_the_image(url: str) -> None:
    """Upright, in its own size and colours."""
    image = np.zeros((48, 64, 3), dtype=np.uint8)
    image[:, :32] = (200, 0, 0)
    ask(planner(url, answer(move("", "", "", "home"))), image)
    picture = picture_in(sent(url))
    assert picture.shape == (48, 64, 3)
    assert np.abs(picture[:, 2:30].astype(int) - (200, 0, 0)).max() < 30
    assert picture[:, 34:].max() < 30


def test_without_a_camera_words_alone_are_sent(url: str) -> None:
    ask(planner(url, answer(move("", "", "", "home"))), image=None)
    assert [part["type"] for part in sent(url)["messages"][1]["content"]] == ["text"]


def objects_in(schema: Any) -> Iterator[dict[str, Any]]:
    """Every object of a JSON schema, however deep."""
    if schema["type"] == "object":
        yield schema
    for part in [*schema.get("properties", {}).values(), *([schema["items"]] if "items" in schema else [])]:
        yield from objects_in(part)


def test_request_demands_the_form_of_the_answer(url: str) -> None:
    """Strict servers take only schemas that require every property and allow no other."""
    ask(planner(url, answer(move("", "", "", "home"))))
    form = sent(url)["response_format"]
    assert (form["type"], form["json_schema"]["strict"]) == ("json_schema", True)
    whole, step = objects_in(form["json_schema"]["schema"])
    assert set(whole["properties"]) == {"explanation", "refusal", "question", "options", "steps"}
    assert set(step["properties"]) == {"action", "object", "relation", "target"}
    assert step["properties"]["action"]["enum"] == ["move", "pick", "home"]
    for schema in (whole, step):
        assert set(schema["required"]) == set(schema["properties"])
        assert schema["additionalProperties"] is False


def test_no_key_is_sent_when_there_is_none(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEST_OPENAI_KEY", raising=False)
    with pytest.raises(PlanningError, match=hashlib.sha256(b"").hexdigest()[:16]):
        ask(planner(url, "echo"), image=None)


def test_key_stays_secret_when_the_server_repeats_it(url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("TEST_OPENAI_KEY", KEY)
    caplog.set_level(logging.DEBUG)
    with pytest.raises(PlanningError, match=r"wrong key Bearer \*\*\*") as caught:
        ask(planner(url, "leak"))
    assert KEY not in caplog.text + str(caught.value)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (answer(move("cube_7", "in", "blue_bowl")), "names 'cube_7', which is not there. I see: a red cube"),
        (answer(move("red_cube", "in", "bowl_2")), "names 'bowl_2'"),
        (answer(move("red_cube", "inside", "blue_bowl")), "relation 'inside'; valid: in, on"),
        (answer(move("red_cube", "in", "blue_bowl", "push")), "asks for 'push'"),
        (answer(move("blue_bowl", "on", "white_plate")), "too wide for the gripper"),
        (answer(move("red_cube", "on", "red_cube")), "itself"),
        (answer(refusal="There is no elephant."), "cannot be done: There is no elephant. I see"),
        (answer(), "no steps and no reason"),
        (answer(steps=["pick"]), "not of the form"),
        (answer(steps=[{"action": "home"}]), "not of the form"),
        (answer(steps="pick"), "lacks steps"),
        ("json:[1, 2]", "lacks explanation"),
        ("json:I would first pick up the cube", "not the JSON"),
        ("json:", "not the JSON"),
        ("garbage", "not the JSON"),
        ("status:401", "HTTP status 401"),
        ("status:404", "HTTP status 404"),
    ],
)
def test_bad_answer_is_refused_with_a_sentence(url: str, model: str, words: str) -> None:
    with pytest.raises(PlanningError, match=words):
        ask(planner(url, model))


def test_absent_object_and_question_are_told_apart(url: str) -> None:
    with pytest.raises(NoSuchObject):
        ask(planner(url, answer(move("cube_7", "in", "blue_bowl"))))
    with pytest.raises(Ambiguous, match=r"Which cube\?") as caught:
        ask(planner(url, answer(question="Which cube?", options=["the red one", "the green one"])))
    assert caught.value.options == ("the red one", "the green one")


def test_passing_failure_is_tried_again_with_growing_waits(url: str) -> None:
    waits: list[float] = []
    text = answer(move("red_cube", "in", "blue_bowl")).removeprefix("json:")
    assert ask(planner(url, f"flaky:{text}", waits, retry_wait_s=0.5)).subtasks
    assert waits == [0.5, 1.0]


def test_lasting_failure_ends_after_the_retries(url: str) -> None:
    waits: list[float] = []
    with pytest.raises(PlanningError, match=r"HTTP status 500.*attempts: 3"):
        ask(planner(url, "status:500", waits))
    assert len(waits) == 2


@pytest.mark.parametrize(
    ("model", "timeout_s", "words"),
    [
        ("slow", 0.3, "did not answer within 0.3 s"),
        ("drip", 0.3, "did not answer within 0.3 s"),
        ("close", 60.0, "cannot be reached"),
        ("huge", 60.0, "cannot be reached"),
    ],
)
def test_server_that_does_not_answer_properly(url: str, model: str, timeout_s: float, words: str) -> None:
    with pytest.raises(PlanningError, match=f"{words}.*Nothing was planned"):
        ask(planner(url, model, timeout_s=timeout_s, retries=1))


def test_server_that_is_gone() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with pytest.raises(PlanningError, match=f"127.0.0.1:{port}/v1 cannot be reached"):
        ask(planner(f"http://127.0.0.1:{port}/v1", "any"))


@pytest.mark.parametrize("instruction", ["", "  ", "x" * 501])
def test_instruction_is_checked_before_anything_is_sent(instruction: str) -> None:
    with pytest.raises(PlanningError):
        planner("http://127.0.0.1:1/v1", "any").plan(instruction, table(), None, 1)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"model": "m"}, "missing base_url"),
        ({"base_url": "http://x", "model": "m", "api_key": "k"}, "Unknown key 'api_key'"),
        ({"base_url": "localhost:8000", "model": "m"}, "must start with http"),
        ({"base_url": "http://x", "model": "m", "timeout_s": "soon"}, "could not convert"),
        ({"base_url": "http://x", "model": "m", "timeout_s": 0}, "must be positive"),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        make_planner("openai", CAPABILITIES, options)


def test_image_becomes_a_jpeg() -> None:
    assert jpeg_data_url(IMAGE).startswith("data:image/jpeg;base64,/9j/")
    with pytest.raises(PlanningError, match="shape"):
        jpeg_data_url(np.zeros((4, 4), dtype=np.uint8))
