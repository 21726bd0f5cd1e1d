"""A command line with substitutions, split into words as `ros2 launch` does it.

Only the plain text is split, by the rules of a shell; what a substitution stands for stays one word with what touches it, blanks and all,
even when it is empty. So a quote cannot begin on one side of a substitution and end on the other.
"""

from __future__ import annotations

import shlex

from vla_ros.core.errors import ConfigError
from vla_ros.launcher.substitutions import Scope, Substitution, Template


def command_words(template: Template, scope: Scope) -> list[str]:
    """The words of a command line, everything put in. Raises ConfigError for a quote that is not closed within plain text."""
    words: list[Template] = []
    word: list[str | Substitution] = []

    def end_word() -> None:
        if word:
            words.append(Template(tuple(word)))
            word.clear()

    for part in template.parts:
        if isinstance(part, Substitution):
            word.append(part)
            continue
        if part[0].isspace():
            end_word()
        for index, token in enumerate(_tokens(part)):
            if index > 0:
                end_word()
            word.append(token)
        if part[-1].isspace():
            end_word()
    end_word()
    return [template.evaluate(scope) for template in words]


def _tokens(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        hint = "a quote cannot reach across a substitution; its value is one word anyway"
        raise ConfigError(f"'{text.strip()}': {error} ({hint})") from error
