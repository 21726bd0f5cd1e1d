"""Small facts about English words that the parser and the grounding share."""

from __future__ import annotations

import re

from vla_ros.planning.vocabulary import GENERIC_NOUNS, SHAPES

_PLURALS = {"boxes": "box", "dishes": "dish", "stuff": "stuff", "glass": "glass"}


def singular(word: str) -> str:
    """The singular of a regular English noun: "cubes" -> "cube"."""
    if word in _PLURALS:
        return _PLURALS[word]
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


def is_plural(phrase: str) -> bool:
    """True when the last word is a known noun in the plural: "the red cubes"."""
    word = phrase.split()[-1] if phrase.split() else ""
    known = singular(word) in GENERIC_NOUNS or any(singular(word) in words for words in SHAPES.values())
    return known and singular(word) != word


def normalised(phrase: str) -> str:
    """Lower case, single spaces, no punctuation, no articles at the front."""
    words = re.sub(r"[^\w\s-]", " ", phrase.lower()).split()
    while words and words[0] in ("the", "a", "an"):
        words = words[1:]
    return " ".join(words)


def counted(number: int, one: str, many: str = "") -> str:
    """ "1 attempt", "2 attempts", "0 recoveries"; ``many`` where it is not ``one`` with an s."""
    return f"{number} {one if number == 1 else many or one + 's'}"
