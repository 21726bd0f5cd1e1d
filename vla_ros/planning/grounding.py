"""Noun phrases to the objects seen: "the crimson block" -> cube_1, or a question, or what is seen instead.

A phrase is taken apart into a place ("left", "on the yellow cube"), a colour and a noun. Colour and noun are understood separately (see
``language``); an object fits when both fit. An object's own name or id always means that object.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from vla_ros.core.errors import PlanningError
from vla_ros.core.scene import Scene, SceneObject
from vla_ros.core.tasks import Relation
from vla_ros.planning.language import Vocabulary
from vla_ros.planning.relations import measure
from vla_ros.planning.vocabulary import GENERIC_NOUNS, IGNORED_WORDS
from vla_ros.planning.words import is_plural, normalised, singular


class NoSuchObject(PlanningError):
    """The instruction names what is not seen."""


class Ambiguous(PlanningError):
    """Several things fit. ``question`` is what would be asked, ``options`` the answers."""

    def __init__(self, question: str, options: Sequence[str]) -> None:
        super().__init__(question)
        self.question = question
        self.options = tuple(options)


PLACE_MARGIN_M = 0.02
"""The object at an end ("the left cube") must lead the next one by this much, or the phrase does not tell them apart."""


def _axis(axis: int, sign: float) -> Callable[[SceneObject], float]:
    return lambda o: sign * float(o.pose.position_m[axis])


def _edge(sign: float) -> Callable[[SceneObject], float]:
    return lambda o: sign * float(np.cbrt(np.prod(o.size_m)))


_ENDS: dict[str, Callable[[SceneObject], float]] = {
    **dict.fromkeys(("left", "leftmost", "lefthand"), _axis(1, 1.0)),
    **dict.fromkeys(("right", "rightmost", "righthand"), _axis(1, -1.0)),
    **dict.fromkeys(("front", "nearest", "closest", "nearer", "closer"), _axis(0, -1.0)),
    **dict.fromkeys(("back", "rear", "farthest", "furthest", "far"), _axis(0, 1.0)),
    **dict.fromkeys(("top", "upper", "topmost", "highest"), _axis(2, 1.0)),
    **dict.fromkeys(("bottom", "lower", "lowest"), _axis(2, -1.0)),
    **dict.fromkeys(("big", "bigger", "biggest", "large", "larger", "largest"), _edge(1.0)),
    **dict.fromkeys(("small", "smaller", "smallest"), _edge(-1.0)),
}
"""Words that pick one object out of several: the one with the largest value [m]."""
SIZE_WORDS = frozenset({"big", "bigger", "biggest", "large", "larger", "largest", "small", "smaller", "smallest"})
SIZE_MARGIN_M = 0.005  # the same for sizes

_RELATIVE: tuple[tuple[str, Relation], ...] = (
    (r"inside(?: of)?|in(?:to)?", Relation.IN),
    (r"on top of|on(?:to)?", Relation.ON),
    (r"(?:to the )?left of", Relation.LEFT_OF),
    (r"(?:to the )?right of", Relation.RIGHT_OF),
    (r"in front of", Relation.IN_FRONT_OF),
    (r"behind", Relation.BEHIND),
)
_WHERE = re.compile(
    r"^(?P<head>.+?) (?:(?:that|which) (?:is|are|lies|stands|sits) |lying |standing |sitting )?(?:"
    + "|".join(rf"(?P<r{i}>{pattern})" for i, (pattern, _) in sorted(enumerate(_RELATIVE), key=lambda e: -len(e[1][0])))
    + r") (?P<target>.+)$"
)
_SIDE_SUFFIX = re.compile(
    r"^(?P<head>.+?) (?:(?:that|which) (?:is|are) )?(?:on|at|to) the (?:far )?(?P<end>left|right|front|back|rear)(?:[ -]?hand)?(?: side)?$"
)


@dataclass(frozen=True)
class Match:
    """An object and how surely the phrase means it (0-1)."""

    thing: SceneObject
    confidence: float


class Grounder:
    """Grounds phrases in one scene."""

    def __init__(self, scene: Scene, vocabulary: Vocabulary) -> None:
        self._scene = scene
        self._vocabulary = vocabulary

    def one(self, phrase: str) -> SceneObject:
        """The object meant. Raises NoSuchObject, or Ambiguous with the question that would be asked."""
        matches = self.all(phrase)
        if len(matches) == 1:
            return matches[0]
        options = [describe_one(o, matches) for o in matches]
        raise Ambiguous(f"Which {_bare(phrase)} do you mean: {', '.join(options[:-1])} or {options[-1]}?", options)

    def all(self, phrase: str) -> tuple[SceneObject, ...]:
        """Every object that fits, in the scene's order. Raises NoSuchObject when none does."""
        matches = self.matches(phrase)
        if matches:
            return tuple(m.thing for m in matches)
        there_is = "There are" if is_plural(phrase) else "There is"
        raise NoSuchObject(f"{there_is} no {_bare(phrase)}.{self._not_understood(phrase)} I see: {self._scene.describe()}.")

    def matches(self, phrase: str) -> tuple[Match, ...]:
        """Every object that fits; () when none does. Raises NoSuchObject or Ambiguous for the thing that it is said to lie at."""
        phrase = normalised(phrase)
        named = [o for o in self._scene.objects if phrase in (o.id.lower(), normalised(o.name))]
        if named:
            return tuple(Match(o, 1.0) for o in named)
        side = _SIDE_SUFFIX.match(phrase)
        if side:
            return self._at_end(self.matches(side["head"]), side["end"])
        where = _WHERE.match(phrase)
        if where:
            return self._related(where)
        return self._by_words(phrase.split())

    def _related(self, where: re.Match[str]) -> tuple[Match, ...]:
        relation = next(r for i, (_, r) in enumerate(_RELATIVE) if where[f"r{i}"])
        target = self.one(where["target"])
        found = [m for m in self.matches(where["head"]) if m.thing.id != target.id]
        return tuple(m for m in found if any(measure(r, m.thing, target, self._scene).holds for r in _alike(relation)))

    def _at_end(self, matches: tuple[Match, ...], end: str) -> tuple[Match, ...]:
        ranked = sorted(matches, key=lambda m: -_ENDS[end](m.thing))
        if not ranked:
            return ()
        margin = SIZE_MARGIN_M if end in SIZE_WORDS else PLACE_MARGIN_M
        limit = _ENDS[end](ranked[0].thing) - margin
        return tuple(m for m in ranked if _ENDS[end](m.thing) >= limit)

    def _by_words(self, words: Sequence[str]) -> tuple[Match, ...]:
        ends = [w for w in words if w in _ENDS]
        rest = [w for w in words if w not in _ENDS and w not in IGNORED_WORDS]
        if not rest:
            return ()
        matches = self._by_attributes(rest)
        for end in reversed(ends):
            matches = self._at_end(matches, end)
        return matches

    def _by_attributes(self, words: Sequence[str]) -> tuple[Match, ...]:
        """Objects of the colour and shape that ``words`` (adjectives, then a noun or none) name."""
        for split in range(len(words)):  # the longest noun first: "soup bowl" before "bowl"
            shapes, shape_confidence = self._shape(" ".join(words[split:]), listed_only=split < len(words) - 1)
            if shapes is None:
                continue
            colours, colour_confidence = self._colour(words[:split])
            if colours is None:
                continue
            return self._fitting(colours, shapes, min(shape_confidence, colour_confidence))
        if self._colour(words[-1:])[0] is None:  # "purple elephant": the noun is not known, and it is not left out
            return ()
        colours, confidence = self._colour(words)  # "the red": a colour alone
        return () if colours is None else self._fitting(colours, frozenset(), confidence)

    def _fitting(self, colours: frozenset[str], shapes: frozenset[str], confidence: float) -> tuple[Match, ...]:
        fits = [o for o in self._scene.objects if (not colours or o.colour in colours) and (not shapes or o.shape in shapes)]
        return tuple(Match(o, confidence) for o in fits)

    def _shape(self, noun: str, *, listed_only: bool) -> tuple[frozenset[str] | None, float]:
        """Shapes that a noun names; empty for a noun that fits any, None when it is not understood."""
        noun = " ".join([*noun.split()[:-1], singular(noun.split()[-1])])
        if noun in GENERIC_NOUNS:
            return frozenset(), 1.0
        seen = frozenset(o.shape for o in self._scene.objects if o.shape == noun)
        listed = self._vocabulary.shapes.listed(noun) | seen
        if listed or listed_only:
            return (listed or None), 1.0
        shapes, confidence = self._vocabulary.shapes.meaning(noun)
        return (shapes or None), confidence

    def _colour(self, words: Sequence[str]) -> tuple[frozenset[str] | None, float]:
        """Colours that adjectives name; empty where there are none, None when they are not understood."""
        if not words:
            return frozenset(), 1.0
        phrase = " ".join(words)
        seen = frozenset(o.colour for o in self._scene.objects if o.colour == phrase)
        if seen:
            return seen, 1.0
        colours, confidence = self._vocabulary.colours.meaning(phrase)
        return (colours or None), confidence

    def _not_understood(self, phrase: str) -> str:
        """A sentence naming the words that mean nothing here."""
        words = [w for w in normalised(phrase).split() if w not in _ENDS and w not in IGNORED_WORDS and w not in GENERIC_NOUNS]
        known = self._vocabulary
        strange = [w for w in words if not known.colours.meaning(w)[0] and not known.shapes.meaning(singular(w))[0] and len(w) > 2]
        return f" (I know no colour or shape called '{strange[0]}'.)" if strange and len(words) <= 4 else ""


def describe_one(thing: SceneObject, among: Sequence[SceneObject]) -> str:
    """A name that tells ``thing`` from the others: by its name where that is enough, else by where it stands."""
    if sum(o.name == thing.name for o in among) == 1:
        return f"the {thing.name}"
    same = sorted((o for o in among if o.name == thing.name), key=lambda o: -float(o.pose.position_m[1]))
    x, y = thing.pose.position_m[:2]
    end = "left " if thing is same[0] else "right " if thing is same[-1] else ""
    return f"the {end}{thing.name} at ({x:.2f}, {y:.2f}) m"


def _bare(phrase: str) -> str:
    return normalised(phrase) or "such thing"


def _alike(relation: Relation) -> tuple[Relation, ...]:
    """People say "on the bowl" and "in the plate": either word fits either relation."""
    return (Relation.IN, Relation.ON) if relation in (Relation.IN, Relation.ON) else (relation,)
