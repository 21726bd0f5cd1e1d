"""The words that the built-in planner knows: shades of the colours and names of the shapes that perception tells apart, and others.

A word is looked up here first. One that is not listed is compared with all of them by the sentence encoder, so each list also says by
example what its entry means. A word may stand in several lists ("dish"): then it fits all of them. ``OTHER`` holds words for things that
are neither colour nor shape: they win the comparison when something is asked for that perception has no name for ("banana"), which keeps
such a word from being taken for the nearest colour or shape.
"""

from __future__ import annotations


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(","))


COLOURS: dict[str, tuple[str, ...]] = {
    "red": _words(
        "red, reddish, crimson, scarlet, ruby, vermilion, vermillion, cherry, cherry red, maroon, carmine, burgundy, blood red, "
        "brick red, tomato red, cardinal, garnet, wine red, ruby red, fire red"
    ),
    "green": _words(
        "green, greenish, emerald, lime, lime green, olive, olive green, jade, mint, forest green, grass green, sage, pea green, "
        "moss green, teal, turquoise, chartreuse, malachite, verdant, emerald green"
    ),
    "blue": _words(
        "blue, bluish, azure, navy, navy blue, cobalt, sapphire, cyan, sky blue, ultramarine, indigo, cerulean, royal blue, teal, "
        "turquoise, aqua, denim, ocean blue, cobalt blue"
    ),
    "cyan": _words("cyan, turquoise, teal, aqua, cyan blue"),
    "yellow": _words(
        "yellow, yellowish, golden, gold, lemon, lemon yellow, mustard, mustard yellow, canary, canary yellow, amber, saffron, "
        "sunny yellow, blond, sunshine yellow"
    ),
    "orange": _words(
        "orange, orangish, tangerine, apricot, pumpkin, pumpkin orange, carrot, carrot orange, peach, coral, rust orange, amber, "
        "ochre, sunset orange"
    ),
    "purple": _words(
        "purple, purplish, violet, lilac, lavender, mauve, plum, magenta, aubergine, amethyst, royal purple, grape purple, "
        "orchid, heliotrope"
    ),
    "pink": _words("pink, pinkish, rose, salmon, salmon pink, fuchsia, hot pink, blush pink, magenta, baby pink"),
    "brown": _words("brown, brownish, chocolate, chocolate brown, tan, chestnut, coffee brown, beige, bronze, mahogany, sepia"),
    "white": _words("white, whitish, ivory, snow white, snowy, cream, pearl white, alabaster"),
    "black": _words("black, blackish, ebony, jet black, pitch black, coal black, onyx"),
    "grey": _words("grey, gray, greyish, grayish, silver, slate, ash grey, gunmetal, steel grey"),
}

SHAPES: dict[str, tuple[str, ...]] = {
    "cube": _words("cube, block, building block, brick, dice, die, square block, toy block, little cube"),
    "bowl": _words("bowl, dish, basin, soup bowl, salad bowl, cereal bowl, mixing bowl, container, vessel, receptacle"),
    "plate": _words("plate, dish, saucer, dinner plate, platter, coaster, side plate, tray"),
    "cylinder": _words("cylinder, can, tin, tube, roller, pillar, tin can, canister, drum"),
    "box": _words("box, bar, carton, package, long box, packet, cuboid, cardboard box, crate"),
}

OTHER: tuple[str, ...] = _words(
    "apple, banana, fruit, vegetable, bread, egg, cake, food, drink, water, coffee, milk, animal, cat, dog, horse, bird, "
    "fish, person, man, child, hand, phone, computer, keyboard, screen, book, pen, pencil, paper, scissors, knife, fork, "
    "spoon, hammer, screwdriver, wrench, nail, tool, chair, sofa, lamp, door, window, wall, car, truck, ship, plane, shirt, "
    "shoe, hat, bag, ball, doll, teddy bear, robot, machine, music, song, weather, happiness, idea, freedom, government, "
    "heavy, light, wooden, metal, plastic, glass, broken, old, fast, slow, expensive, hot, cold, hungry, beautiful, "
    "dangerous, random, nonsense, gibberish, number, letter, house, tree, flower, mountain, river, moon, star, pyramid, "
    "sphere, ring, cone, rope, towel, pillow, quickly, bottle, mug, cup, pan, pot, jar, basket, drawer, table, floor, left, "
    "right, shape, colour"
)

GENERIC_NOUNS: frozenset[str] = frozenset(_words("one, object, thing, item, stuff, toy"))
"""Nouns that say nothing about the shape (singular)."""

IGNORED_WORDS: frozenset[str] = frozenset(
    _words(
        "a, an, the, this, that, these, those, my, your, our, its, some, any, coloured, colored, colour, color, dark, light, bright, "
        "pale, deep, vivid, nice, little, plain"
    )
)
"""Words before a noun that do not help to tell objects apart."""
