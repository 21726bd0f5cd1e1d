"""Seeds as a user writes them: "0-19,25"."""

from __future__ import annotations

import re
from collections import Counter

from vla_ros.core.errors import ConfigError

MAX_SEEDS = 100_000
_RANGE = re.compile(r"^(\d+)(?:-(\d+))?$")


def parse_seeds(text: str) -> tuple[int, ...]:
    """The seeds of a list of numbers and ranges (both ends included), in the order given. Raises ConfigError, naming the part at fault."""
    seeds: list[int] = []
    for part in text.split(","):
        match = _RANGE.match(part.strip())
        if match is None:
            raise ConfigError(f"Seeds '{text}': '{part.strip()}' is neither a number nor a range; write for example '0-19,25'.")
        first, last = int(match.group(1)), int(match.group(2) or match.group(1))
        if last < first:
            raise ConfigError(f"Seeds '{text}': the range '{part.strip()}' runs backwards; write '{last}-{first}'.")
        if len(seeds) + last - first >= MAX_SEEDS:
            raise ConfigError(f"Seeds '{text}': more than {MAX_SEEDS} seeds.")
        seeds += range(first, last + 1)
    repeated = sorted(seed for seed, count in Counter(seeds).items() if count > 1)
    if repeated:
        raise ConfigError(f"Seeds '{text}': {', '.join(map(str, repeated[:5]))} named more than once.")
    return tuple(seeds)
