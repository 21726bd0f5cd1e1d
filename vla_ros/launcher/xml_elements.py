"""XML read into elements that know their line and which of their parts have been used."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

from vla_ros.core.errors import ConfigError, unknown_choice
from vla_ros.launcher.model import Place
from vla_ros.launcher.substitutions import Template, is_true, parse_template


@dataclass
class Element:
    """An XML element. What nobody asked for by the end of parsing is a mistake in the file (`refuse_unknown`)."""

    tag: str
    attributes: dict[str, str]
    place: Place
    children: list[Element] = field(default_factory=list)
    asked: set[str] = field(default_factory=set)

    def optional(self, name: str) -> str | None:
        """An attribute as it is written, or None."""
        self.asked.add(name)
        return self.attributes.get(name)

    def required(self, name: str) -> str:
        """An attribute that must be there."""
        value = self.optional(name)
        if value is None:
            raise self.error(f"<{self.tag}> needs the attribute '{name}'")
        return value

    def template(self, name: str, default: str | None = None) -> Template:
        """An attribute with substitutions; required where there is no default."""
        text = self.required(name) if default is None else self.optional(name)
        return self.parse(text if text is not None else default or "")

    def optional_template(self, name: str) -> Template | None:
        """An attribute with substitutions, or None."""
        text = self.optional(name)
        return None if text is None else self.parse(text)

    def flag(self, name: str, default: bool) -> bool:
        """A plain true or false."""
        text = self.optional(name)
        if text is None:
            return default
        try:
            return is_true(text)
        except ConfigError as error:
            raise self.error(f"attribute '{name}': {error}") from error

    def parse(self, text: str) -> Template:
        """A template, with errors that name this element."""
        try:
            return parse_template(text)
        except ConfigError as error:
            raise self.error(f"<{self.tag}>: {error}") from error

    def children_named(self, tag: str) -> list[Element]:
        """The children with a tag."""
        return [child for child in self.children if child.tag == tag]

    def refuse_unknown(self, children: Collection[str] = ()) -> None:
        """Raise ConfigError for an attribute that nothing asked for or a child with another tag."""
        for name in self.attributes:
            if name not in self.asked:
                raise self.error(f"<{self.tag}>: {unknown_choice('attribute', name, self.asked)}")
        for child in self.children:
            if child.tag not in children:
                raise child.error(f"inside <{self.tag}>: {unknown_choice('element', child.tag, children)}")

    def error(self, message: str) -> ConfigError:
        """An error at this element's place."""
        return ConfigError(f"{self.place}: {message}")


def read_elements(path: Path) -> Element:
    """The root element of an XML file; raises ConfigError naming file and line."""
    parser = expat.ParserCreate()
    open_elements: list[Element] = []
    roots: list[Element] = []

    def start(tag: str, attributes: dict[str, str]) -> None:
        element = Element(tag, attributes, Place(path, parser.CurrentLineNumber))
        (open_elements[-1].children if open_elements else roots).append(element)
        open_elements.append(element)

    def text(data: str) -> None:
        if data.strip():
            raise ConfigError(f"{path}:{parser.CurrentLineNumber}: '{data.strip()}' stands outside of any attribute")

    parser.StartElementHandler = start
    parser.EndElementHandler = lambda tag: open_elements.pop()
    parser.CharacterDataHandler = text
    try:
        parser.Parse(path.read_bytes(), True)
    except OSError as error:
        raise ConfigError(f"Cannot read the launch file {path}: {error.strerror}.") from error
    except expat.ExpatError as error:
        raise ConfigError(f"{path}:{error.lineno}: not valid XML: {expat.ErrorString(error.code)}.") from error
    return roots[0]
