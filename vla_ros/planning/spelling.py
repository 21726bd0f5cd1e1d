"""What a sentence with a misspelt word may have meant: each strange word becomes the nearest one that the grammar or the scene knows."""

from __future__ import annotations

import difflib
import re

from vla_ros.core.scene import Scene
from vla_ros.planning.vocabulary import COLOURS, GENERIC_NOUNS, IGNORED_WORDS, OTHER, SHAPES

LEAST_LETTERS = 3
LEAST_LIKENESS = 0.75  # of difflib: "cub" and "cube" have 0.86, "elephant" and "plate" 0.62

_GRAMMAR = frozenset(
    re.findall(
        r"\w+",
        "put place drop move set lay stack bring carry pick grab grasp lift take fetch get hold build make clear clean fill return home "
        "tower table into onto inside left right front behind top the and then all every everything with from",
    )
)
_KNOWN = frozenset(
    word
    for phrase in (*OTHER, *GENERIC_NOUNS, *IGNORED_WORDS, *(w for words in (*COLOURS.values(), *SHAPES.values()) for w in words))
    for word in phrase.split()
)


def respelt(instruction: str, scene: Scene) -> str:
    """``instruction`` with its strange words replaced where a near one is known; unchanged where there is none."""
    seen = {word for thing in scene.objects for word in thing.name.lower().split()}
    wanted = sorted(_GRAMMAR | seen | {f"{word}s" for word in seen})

    def nearest(match: re.Match[str]) -> str:
        word = match[0].lower()
        if len(word) < LEAST_LETTERS or word in _KNOWN or word in wanted:
            return match[0]
        near = difflib.get_close_matches(word, wanted, n=1, cutoff=LEAST_LIKENESS)
        return near[0] if near else match[0]

    return re.sub(r"[A-Za-z]+", nearest, instruction)
