"""The sentences that the built-in planner understands, as typed commands.

    put | place | drop | move X in | into | inside | on | onto | on top of | to Y;   stack X on Y;   fill Y with X
    put | move X left of | right of | in front of | behind Y (seen from the robot)
    put all the X in Y;   put everything red in Y;   put X and Z in Y
    build a tower of X, Y, Z (the first named is the bottom);   stack all the X
    clear the table into Y;   pick up X;   go home
    sequences: "..., then ...", "... and then ...", "...; ...", "pick up X and put it in Y"

Where several prepositions occur, the last one says where to: "put the cube on the plate in the bowl" moves the cube that is on the plate.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from vla_ros.core.errors import NotUnderstood, PlanningError
from vla_ros.core.tasks import Relation
from vla_ros.planning.words import is_plural, singular

MAX_LENGTH = 500
SUPPORTED = (
    "I can put or stack things in, on, left of, right of, in front of or behind others, put all of a kind somewhere, build a tower, "
    'clear the table into something, pick something up and go home, for example: "put the red cube in the blue bowl".'
)


@dataclass(frozen=True)
class NounPhrase:
    """Words for one thing or for all of a kind."""

    text: str  # "red cube on the plate", without "all the"
    every: bool = False  # all that fit, rather than the one


@dataclass(frozen=True)
class Put:
    """Each of ``things`` goes to the target; relation None ("to Y"): in it when it is a container, else on it."""

    things: tuple[NounPhrase, ...]
    relation: Relation | None
    target: NounPhrase


@dataclass(frozen=True)
class Tower:
    """The first named is the bottom, and stays where it is."""

    things: tuple[NounPhrase, ...]


@dataclass(frozen=True)
class Clear:
    """Everything that can be picked up goes to the target."""

    target: NounPhrase


@dataclass(frozen=True)
class Pick:
    """Picked up and held."""

    thing: NounPhrase


@dataclass(frozen=True)
class Home:
    """The arm goes to its home pose."""


Command = Put | Tower | Clear | Pick | Home

_PUT = r"put|place|drop|move|set|lay|stack|bring|carry|transfer|shift|deposit|position|stick|send|sort|pile"
_PICK = r"pick up|pick|grab|grasp|lift up|lift|take|fetch|get|hold|seize"
_BUILD = r"build|make|create|construct|assemble|erect"
_VERB = rf"(?:{_PUT}|{_PICK}|{_BUILD}|clear|clean|tidy|empty|fill|go|return|home)"
_UNSUPPORTED = re.compile(
    r"(?:"
    r"arrange|clean|close|cook|count|cut|dance|draw|drive|exchange|find|flip|fold|give|hand|hit|insert|knock|look|open|point|"
    r"pour|press|pull|push|release|remove|roll|rotate|screw|separate|shake|show|shut|slice|slide|spin|squeeze|stir|swap|tell|"
    r"throw|toss|turn|unfold|unscrew|unstack|walk|wash|wave|wipe|write"
    r")"
)
_REFUSED = {
    **dict.fromkeys(("not", "don't", "dont", "never", "no", "neither", "nor", "cannot"), "what not to do"),
    **dict.fromkeys(("except", "but", "without"), "exceptions"),
    **dict.fromkeys(("if", "unless", "until", "when", "while", "whenever", "before", "after", "or"), "conditions or choices"),
}
_COURTESY = re.compile(
    r"\b(?:please|kindly|thanks|thank you very much|thank you|(?:could|can|would|will) you|i(?: would|'d) like you to|"
    r"i (?:want|need) you to|hey|hello|hi|ok|okay|now|just|robot|for me|let's|go ahead and|carefully|gently|slowly)\b,?"
)
_SEQUENCE = re.compile(
    r"\s*[;.!?\n]+\s*(?:and\b)?\s*(?:then\b)?,?\s*|,?\s*\b(?:and )?(?:then|after that|afterwards|finally|next(?! to))\b,?\s*|"
    rf",?\s+and (?={_VERB}\b)|,\s*(?={_VERB}\b)"
)
_RELATIONS: tuple[tuple[str, Relation | None], ...] = (
    (r"(?:to|on|at) the left(?: side| hand side)? of|left of", Relation.LEFT_OF),
    (r"(?:to|on|at) the right(?: side| hand side)? of|right of", Relation.RIGHT_OF),
    (r"in front of", Relation.IN_FRONT_OF),
    (r"behind|in back of|at the back of", Relation.BEHIND),
    (r"on top of|onto|on|upon|over|atop", Relation.ON),
    (r"inside of|inside|into|within|in", Relation.IN),
    (r"over to|to", None),
)
_RELATION = re.compile(r"\b(?:" + "|".join(f"(?P<r{i}>{pattern})" for i, (pattern, _) in enumerate(_RELATIONS)) + r")\b")
_VAGUE = re.compile(r"\b(?:next to|beside|besides|near|close to|between|under|underneath|below|beneath|around|against|above|by)\b")
_SIDE_ONLY = re.compile(r"^(?:the )?(?:far )?(?:left|right|front|back|rear)(?:[ -]?hand)?(?: side)?\b")
_QUANTIFIER = re.compile(r"^(?:(?:all|each) of (?:the )?|all (?:the )?|every (?:single )?|each |both (?:of )?(?:the )?)")
_PRONOUNS = frozenset({"it", "them", "this", "that", "these", "those", "they"})


def parse(instruction: str) -> tuple[Command, ...]:
    """The commands of an instruction, in order; at least one. Raises NotUnderstood with a sentence that says what is understood instead."""
    text = _clean(instruction)
    commands: list[Command] = []
    verb = ""
    for part in _SEQUENCE.split(text):
        for clause in _without_gaps(re.sub(r"^(?:and|first|firstly|second|so|also|to)\b,?\s*", "", part.strip(" ,:-")).strip(" ,")):
            said = re.match(rf"(?:{_PUT})\b", clause)
            if not said and verb and not re.match(rf"{_VERB}\b", clause) and _last_relation(clause):
                clause = f"{verb} {clause}"  # "stack A on B, then C on A"
            verb = said[0] if said else verb
            _join(commands, _command(clause, _last_things(commands)))
    if not commands:
        raise NotUnderstood(f"The instruction says nothing to do. {SUPPORTED}")
    return tuple(commands)


def _clean(instruction: str) -> str:
    text = instruction.replace("’", "'").replace("\t", " ").lower().strip()
    if not re.search(r"[a-z]", text):
        what = f"'{instruction.strip()[:40]}' is not an instruction" if text else "The instruction is empty"
        raise NotUnderstood(f"{what}. {SUPPORTED}")
    if len(text) > MAX_LENGTH:
        raise NotUnderstood(f"The instruction has {len(text)} characters; at most {MAX_LENGTH} are understood. Give it in parts.")
    text = re.sub(r"[\"“”()\[\]{}<>*_`]", " ", text)
    text = re.sub(r" +", " ", _COURTESY.sub(" ", text))
    for word in re.findall(r"[a-z']+", text):
        if word in _REFUSED:
            raise NotUnderstood(f"I do not understand {_REFUSED[word]} ('{word}'). {SUPPORTED}")
    return text


def _without_gaps(clause: str) -> list[str]:
    """ "put A on B and C in D" means "put A on B" and "put C in D": the verb is said once. An empty clause gives none."""
    match = re.fullmatch(rf"(?P<verb>{_PUT}) (?P<rest>.+)", clause)
    parts = re.split(r",? and |, ", match["rest"]) if match else []
    if match and len(parts) > 1 and all(_last_relation(part) for part in parts):
        return [f"{match['verb']} {part}" for part in parts]
    return [clause] if clause else []


def _last_things(commands: list[Command]) -> tuple[NounPhrase, ...]:
    """What "it" and "them" stand for."""
    last = commands[-1] if commands else None
    if isinstance(last, Put | Tower):
        return last.things
    return (last.thing,) if isinstance(last, Pick) else ()


def _join(commands: list[Command], command: Command) -> None:
    """Appends; "pick up X and put it in Y" becomes one Put."""
    last = commands[-1] if commands else None
    if isinstance(last, Pick) and isinstance(command, Put) and command.things == (last.thing,):
        commands[-1] = command
    else:
        commands.append(command)


def _command(clause: str, before: tuple[NounPhrase, ...]) -> Command:
    for form in (_home, _tower, _clear, _fill, _put, _pick):
        command = form(clause, before)
        if command is not None:
            return command
    verb = clause.split()[0]
    if _UNSUPPORTED.fullmatch(verb):
        raise PlanningError(f"I understand '{clause[:80]}', but '{verb}' is not among my skills. {SUPPORTED}")
    raise NotUnderstood(f"I do not understand '{clause[:80]}'. {SUPPORTED}")


def _home(clause: str, _: tuple[NounPhrase, ...]) -> Command | None:
    to_move = r"(?:go|return|move|come|drive)(?: the arm| yourself)?(?: back)?(?: to)?(?: the| your)?"
    return Home() if re.fullmatch(rf"(?:{to_move} )?(?:home|rest|start)(?: position| pose)?", clause) else None


def _tower(clause: str, before: tuple[NounPhrase, ...]) -> Command | None:
    built = re.fullmatch(
        rf"(?:{_BUILD}|stack|pile)(?: up)?(?: me)?(?: an?| the)? (?:tower|stack|pile|column)(?: out)? (?:of|from|with|using) (?P<list>.+)",
        clause,
    )
    stacked = re.fullmatch(r"(?:stack|pile)(?: up)? (?P<list>.+?)(?: on(?: top of)? (?:each other|one another))?", clause)
    if built is not None:
        listed = re.sub(r" on the table$", "", built["list"])
    elif stacked is not None and not _RELATION.search(stacked["list"]):
        listed = stacked["list"]
    else:
        return None
    things = _phrases(listed, before)
    if len(things) == 1 and not things[0].every:
        raise NotUnderstood(
            f"A tower needs at least two things, in '{clause[:80]}'. "
            'For example: "build a tower of the red cube, the green cube and the blue cube".'
        )
    return Tower(things)


def _clear(clause: str, before: tuple[NounPhrase, ...]) -> Command | None:
    what = r"(?:clear|clean|tidy|empty)(?: up| off)?(?: the| this)? (?:table|desk|workspace|tabletop|everything|work area)(?: up| off)?"
    if re.fullmatch(what, clause):
        raise NotUnderstood('Where to? For example: "clear the table into the blue bowl".')
    away = rf"(?:{_PUT}|get|sweep) everything (?:that is |which is )?(?:off|on|from|off of|lying on) (?:the|this) (?:table|desk|tabletop)"
    into = re.fullmatch(rf"(?:{what}(?: by putting everything)?|{away}) (?:into|in|onto|on|to|inside) (?P<target>.+)", clause)
    return Clear(_single(into["target"], before)) if into else None


def _fill(clause: str, before: tuple[NounPhrase, ...]) -> Command | None:
    filled = re.fullmatch(r"fill(?: up)? (?P<target>.+?) with (?P<things>.+)", clause)
    return Put(_phrases(filled["things"], before), Relation.IN, _single(filled["target"], before)) if filled else None


def _put(clause: str, before: tuple[NounPhrase, ...]) -> Command | None:
    match = re.fullmatch(rf"(?P<verb>{_PUT}|{_PICK})(?: up| down)? (?P<rest>.+)", clause)
    if match is None:
        return None
    vague = _VAGUE.search(match["rest"])
    if vague:
        raise NotUnderstood(f"'{vague[0]}' does not say where exactly; say in, on, left of, right of, in front of or behind. {SUPPORTED}")
    split = _last_relation(match["rest"])
    picks = re.fullmatch(_PICK, match["verb"]) is not None
    if split is None or (picks and split[1] is not None):
        if picks:
            return None  # "pick up the cube on the plate": the preposition belongs to the object
        raise NotUnderstood(f"Where should it go, in '{clause[:80]}'? Name a thing that you see to put it in, on or beside. {SUPPORTED}")
    text, relation, target = split
    things = _phrases(text, before)
    if match["verb"] in ("stack", "pile") and relation is Relation.ON and (len(things) > 1 or things[0].every):
        return Tower((_single(target, before), *things))
    return Put(things, relation, _single(target, before))


def _last_relation(rest: str) -> tuple[str, Relation | None, str] | None:
    """ "X rel Y" taken apart at its last preposition that is followed by a thing."""
    for match in reversed(list(_RELATION.finditer(rest))):
        text, target = rest[: match.start()].strip(" ,"), rest[match.end() :].strip(" ,")
        if text and target and not _SIDE_ONLY.match(target):
            return text, next(r for i, (_, r) in enumerate(_RELATIONS) if match[f"r{i}"]), target
    return None


def _pick(clause: str, before: tuple[NounPhrase, ...]) -> Command | None:
    match = re.fullmatch(rf"(?:{_PICK}) (?P<thing>.+?)(?: up)?", clause)
    if match is None:
        return None
    thing = re.sub(r" (?:out of|off of|off|from) ", " in ", match["thing"])
    things = _phrases(thing, before)
    if len(things) != 1 or things[0].every:
        raise NotUnderstood(
            'I can hold one thing at a time. Say where the things should go, for example: "put all the cubes in the blue bowl".'
        )
    return Pick(things[0])


def _phrases(text: str, before: tuple[NounPhrase, ...]) -> tuple[NounPhrase, ...]:
    """A list of things: "X, Y and Z", "the red, green and blue cubes", "all the cubes", "it"."""
    parts = [p.strip() for p in re.split(r"\s*,\s*(?:and\s+)?|\s+and\s+", text) if p.strip()]
    if not parts:
        raise NotUnderstood(f"No thing is named in '{text[:80]}'. {SUPPORTED}")
    head = parts[-1].split()[-1]
    if len(parts) > 1 and is_plural(parts[-1]) and all(len(re.sub(r"^the ", "", p).split()) == 1 for p in parts[:-1]):
        parts = [f"{p} {singular(head)}" for p in parts[:-1]] + [f"{parts[-1].removesuffix(head)}{singular(head)}"]
    found = [phrase for part in parts for phrase in _phrase(part, before)]
    return tuple(dict.fromkeys(found))


def _phrase(text: str, before: tuple[NounPhrase, ...]) -> tuple[NounPhrase, ...]:
    if text in _PRONOUNS or text in ("both", "all of them", "them all"):
        if not before:
            raise NotUnderstood(f"I do not know what '{text}' stands for; name the thing.")
        return before
    every = re.fullmatch(r"(?:everything|all things|all)(?: (?:that is|that's|which is))?(?: (?P<what>.+))?", text)
    if every and (text.startswith("everything") or text == "all"):
        return (NounPhrase(_everything(every["what"]), every=True),)
    quantified = _QUANTIFIER.sub("", text)
    plain = re.sub(r"^(?:the |an? )+", "", quantified)
    if not plain:
        raise NotUnderstood(f"No thing is named in '{text[:80]}'. {SUPPORTED}")
    return (NounPhrase(plain, every=quantified != text or is_plural(_RELATION.split(plain)[0])),)


def _everything(what: str | None) -> str:
    """ "everything red" -> "red things", "everything on the plate" -> "things on the plate"."""
    if not what:
        return "things"
    return f"things {what}" if _RELATION.match(what) else f"{what} things"


def _single(text: str, before: tuple[NounPhrase, ...]) -> NounPhrase:
    things = _phrases(text, before)
    if len(things) != 1 or things[0].every:
        raise NotUnderstood(f"'{text[:80]}' names several places; name one thing to put it in, on or beside.")
    return things[0]
