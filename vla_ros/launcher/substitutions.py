"""Texts with `$(...)` in them: parsing them and putting in what they stand for.

Known: var, env, anon, find-pkg-share, find-pkg-prefix, dirname, filename, eval, not, and, or, equals, not-equals, if.
Arguments stand between blanks; one that holds blanks is quoted with ' or ". A backslash takes the next character as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from vla_ros.core.errors import ConfigError, unknown_choice
from vla_ros.launcher.expressions import evaluate_expression
from vla_ros.launcher.packages import package_prefix

TRUE_WORDS = ("true", "1")
FALSE_WORDS = ("false", "0")
YAML_TRUE = ("true", "yes", "on")
YAML_FALSE = ("false", "no", "off")


@dataclass(frozen=True)
class Substitution:
    """`$(name argument ...)`."""

    name: str
    arguments: tuple[Template, ...]


@dataclass(frozen=True)
class Template:
    """A text in parts: plain strings and substitutions."""

    parts: tuple[str | Substitution, ...] = ()

    def evaluate(self, scope: Scope) -> str:
        """The text with everything put in."""
        return "".join(part if isinstance(part, str) else scope_value(part, scope) for part in self.parts)


@dataclass
class Scope:
    """What substitutions can see. `file` is the launch file being read."""

    file: Path
    variables: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)


def is_true(text: str, true: Sequence[str] = TRUE_WORDS, false: Sequence[str] = FALSE_WORDS) -> bool:
    """Read a text as a condition; anything but the given words is an error."""
    word = text.strip().lower()
    if word in true:
        return True
    if word in false:
        return False
    raise ConfigError(f"'{text}' is neither true nor false; valid: {', '.join((*true, *false))}")


def parse_template(text: str) -> Template:
    """Parse an attribute's text; raises ConfigError where a `$(` is not closed or names nothing that is known."""
    return _Parser(text).template(closing="")


class _Parser:
    """Reads one text from left to right."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def template(self, closing: str) -> Template:
        """Everything up to one of the closing characters, or up to the end where there are none."""
        parts: list[str | Substitution] = []
        plain = ""
        while self.at < len(self.text) and self.text[self.at] not in closing:
            if self.text.startswith("$(", self.at):
                parts += [plain] if plain else []
                plain = ""
                parts.append(self.substitution())
                continue
            if self.text[self.at] == "\\" and self.at + 1 < len(self.text):
                self.at += 1
            plain += self.text[self.at]
            self.at += 1
        parts += [plain] if plain else []
        return Template(tuple(parts))

    def substitution(self) -> Substitution:
        """`$(name argument ...)`, from the dollar to behind the closing bracket."""
        start = self.at
        self.at += 2
        name = ""
        while self.at < len(self.text) and self.text[self.at] not in " \t\n)":
            name += self.text[self.at]
            self.at += 1
        if name not in FUNCTIONS:
            raise ConfigError(unknown_choice("substitution", name, FUNCTIONS))
        arguments = self.arguments(start)
        low, high, _ = FUNCTIONS[name]
        if not low <= len(arguments) <= high:
            expected = str(low) if low == high else f"{low} to {high}"
            raise ConfigError(f"$({name} ...) takes {expected} arguments, not {len(arguments)}; quote one that holds blanks")
        return Substitution(name, tuple(arguments))

    def arguments(self, start: int) -> list[Template]:
        """The arguments of a substitution and its closing bracket."""
        arguments: list[Template] = []
        while True:
            while self.at < len(self.text) and self.text[self.at] in " \t\n":
                self.at += 1
            if self.at >= len(self.text):
                raise ConfigError(f"the bracket of '{self.text[start:]}' is not closed")
            if self.text[self.at] == ")":
                self.at += 1
                return arguments
            arguments.append(self.argument(start))

    def argument(self, start: int) -> Template:
        """One argument, quoted or not."""
        quote = self.text[self.at]
        if quote not in "'\"":
            return self.template(closing=" \t\n)")
        self.at += 1
        argument = self.template(closing=quote)
        if self.at >= len(self.text):
            raise ConfigError(f"the quote in '{self.text[start:]}' is not closed")
        self.at += 1
        return argument


def scope_value(substitution: Substitution, scope: Scope) -> str:
    """What one substitution stands for."""
    values = [argument.evaluate(scope) for argument in substitution.arguments]
    return FUNCTIONS[substitution.name][2](scope, values)


def _lookup(kind: str, table: Mapping[str, str], values: Sequence[str]) -> str:
    if values[0] in table:
        return table[values[0]]
    if len(values) > 1:
        return values[1]
    if kind == "environment variable":
        raise ConfigError(f"The environment variable '{values[0]}' is not set; set it, or give a default: $(env {values[0]} DEFAULT)")
    raise ConfigError(unknown_choice(kind, values[0], table))


def _boolean(text: str) -> bool:
    return is_true(text, YAML_TRUE, YAML_FALSE)


def _word(value: bool) -> str:
    return "true" if value else "false"


def _share(values: Sequence[str], scope: Scope) -> str:
    return str(package_prefix(values[0], scope.environment) / "share" / values[0])


Function = Callable[[Scope, Sequence[str]], str]
# name: fewest arguments, most arguments, what it does
FUNCTIONS: dict[str, tuple[int, int, Function]] = {
    "var": (1, 2, lambda scope, v: _lookup("launch argument or variable", scope.variables, v)),
    "env": (1, 2, lambda scope, v: _lookup("environment variable", scope.environment, v)),
    "anon": (1, 1, lambda scope, v: scope.variables.setdefault(f"anon{v[0]}", f"{v[0]}_{uuid4().hex}")),
    "find-pkg-share": (1, 1, lambda scope, v: _share(v, scope)),
    "find-pkg-prefix": (1, 1, lambda scope, v: str(package_prefix(v[0], scope.environment))),
    "dirname": (0, 0, lambda scope, v: str(scope.file.parent)),
    "filename": (0, 0, lambda scope, v: str(scope.file)),
    "eval": (1, 1, lambda scope, v: str(evaluate_expression(v[0]))),
    "not": (1, 1, lambda scope, v: _word(not _boolean(v[0]))),
    "and": (2, 2, lambda scope, v: _word(_boolean(v[0]) and _boolean(v[1]))),
    "or": (2, 2, lambda scope, v: _word(_boolean(v[0]) or _boolean(v[1]))),
    "equals": (2, 2, lambda scope, v: _word(v[0] == v[1])),
    "not-equals": (2, 2, lambda scope, v: _word(v[0] != v[1])),
    "if": (2, 3, lambda scope, v: v[1] if _boolean(v[0]) else (v[2] if len(v) > 2 else "")),
}
