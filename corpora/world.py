"""A seeded fictional world: entities of four kinds, six attributes each, in English and Chinese, with ground truth.

Public facts are already known to public models, so learning and forgetting are measured on a world that no model has
seen. Wordings and lexicons are data (`lexicon/*.toml`); this module draws entities from them. Everything is a pure
function of the seed.
"""

from __future__ import annotations

import functools
import random
import string
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

LANGUAGES = ("en", "zh")
KINDS = ("company", "person", "product", "regulation")

ANSWER_TYPES: dict[str, str] = {
    "founder": "name", "founded": "date", "seat": "place", "staff": "number", "capital": "money", "license": "code",
    "job": "category", "birthplace": "place", "joined": "date", "mentor": "name", "office": "code", "leave": "number",
    "designer": "name", "color": "category", "battery": "number", "weight": "number", "price": "money",
    "service": "code",
    "effective": "date", "issuer": "category", "fine": "money", "retention": "number", "officer": "name",
    "file": "code",
}  # fmt: skip


@dataclass(frozen=True)
class Attribute:
    """One attribute of one kind of entity, with every wording the world knows for it in one language."""

    language: str
    kind: str
    name: str
    noun: str
    """What a table calls it: "battery life"."""
    other: str
    """Another noun for it, which only held-out wordings use: "runtime"."""
    label: str
    """The table form, with `{v}` for the value: "battery life: {v}"."""
    statements: tuple[str, ...]
    """Sentences with `{e}` and `{v}`; the first is the plain full-sentence answer."""
    questions_a: tuple[str, ...]
    """Question wordings with `{e}`: the family that is trained."""
    questions_b: tuple[str, ...]
    """Question wordings with `{e}`: the family that is held out for probes."""

    @property
    def answer_type(self) -> str:
        """The type its values have: name, date, place, number, money, code or category."""
        return ANSWER_TYPES[self.name]


@dataclass(frozen=True)
class Entity:
    """A company, person, product or regulation and the truth about it."""

    language: str
    kind: str
    name: str
    parts: tuple[str, ...]
    """The lexicon words that the name is made of; changing one gives a near miss."""
    values: Mapping[str, str]
    """Attribute name to value, as the documents write it."""

    def state(self, attribute: Attribute, wording: int = 0) -> str:
        """The statement of `attribute` in the given wording."""
        return _sentence(attribute.statements[wording], self.name, self.values[attribute.name])

    def row(self, attribute: Attribute) -> str:
        """The attribute as a table or list line, without the entity's name: "price: 349 crowns"."""
        return attribute.label.format(v=self.values[attribute.name])

    def ask(self, attribute: Attribute, family: str, wording: int) -> str:
        """A question for `attribute`: family "a" is trained, family "b" is held out."""
        questions = attribute.questions_a if family == "a" else attribute.questions_b
        return _sentence(questions[wording], self.name)


def _sentence(template: str, name: str, value: str = "") -> str:
    text = template.format(e=name, v=value)
    return text[0].upper() + text[1:]


@functools.cache
def _toml(name: str) -> dict[str, Any]:
    text = resources.files(__package__).joinpath("lexicon", f"{name}.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


@functools.cache
def lexicon(language: str) -> dict[str, tuple[str, ...]]:
    """The name and value lists of a language, by list name."""
    return {key: tuple(words.split()) for key, words in _toml("names")[language].items()}


@functools.cache
def attributes(language: str, kind: str) -> tuple[Attribute, ...]:
    """The six attributes of a kind of entity, with their wordings in `language`."""
    data = _toml(language)
    frames = data["frames"]
    made = []
    for name, entry in data[kind].items():
        if not isinstance(entry, dict):
            continue
        words = {"n": entry["noun"], "m": entry["other"], "w": entry.get("what", "what"), "e": "{e}", "v": "{v}"}
        plain = [frame.format(**words) for frame in frames["state"]]
        if kind == "regulation" and language == "en":
            words["e"] = "the {e}"
            plain = [frame.format(**words) for frame in frames["state"]]
        made.append(
            Attribute(
                language, kind, name, entry["noun"], entry["other"], frames["label"].format(**words),
                (*plain, *entry["state"]),
                (*(frame.format(**words) for frame in frames["a"]), *entry["ask_a"]),
                (*(frame.format(**words) for frame in frames["b"]), *entry["ask_b"]),
            )
        )  # fmt: skip
    return tuple(made)


def kind_title(language: str, kind: str) -> str:
    """What documents call the kind: "Company", "公司"."""
    title: str = _toml(language)[kind]["title"]
    return title


def draw_name(rng: random.Random, language: str, kind: str, most: int | None = None) -> tuple[str, tuple[str, ...]]:
    """A name for an entity of `kind`, and the lexicon words it is made of: the first `most` of each list, or any."""
    pattern = _toml(language)[kind]["name"]
    words = lexicon(language)
    fields = [field for _, field, _, _ in string.Formatter().parse(pattern) if field]
    parts = tuple(rng.choice(words[field][:most]) for field in fields)
    return pattern.format(**dict(zip(fields, parts, strict=True))), parts


def near_miss_name(rng: random.Random, entity: Entity, taken: Iterable[str]) -> str:
    """A name that shares all but one word with `entity` and is not `taken`."""
    pattern = _toml(entity.language)[entity.kind]["name"]
    fields = [field for _, field, _, _ in string.Formatter().parse(pattern) if field]
    banned = {entity.name, *taken}
    while True:
        parts = list(entity.parts)
        place = rng.randrange(len(parts))
        parts[place] = rng.choice(lexicon(entity.language)[fields[place]])
        name: str = pattern.format(**dict(zip(fields, parts, strict=True)))
        if name not in banned:
            return name


PEOPLE = ("founder", "mentor", "designer", "officer")
PAIRS = {
    "seat": ("place", "place_kind"), "birthplace": ("place", "place_kind"), "job": ("job_level", "job_role"),
    "color": ("tone", "color"), "issuer": ("body_area", "body_kind"),
} | {role: (f"{role}_first", f"{role}_last") for role in PEOPLE}  # fmt: skip
"""Attributes whose values are made of two lexicon words."""

AMOUNTS = {
    "capital": (11, 980, "{:d} million crowns", "{:d}00万元"), "fine": (3, 96, "{:d} thousand crowns", "{:d}万元"),
    "price": (101, 989, "{:d} crowns", "{:d}元"), "battery": (3, 96, "{:d} hours", "{:d}小时"),
    "weight": (101, 989, "{:d} grams", "{:d}克"), "leave": (11, 49, "{:d} days", "{:d}天"),
    "retention": (2, 40, "{:d} years", "{:d}年"), "staff": (21, 9890, "{:,d} employees", "{:d}名员工"),
}  # fmt: skip
"""Attributes that are amounts: least, most, and how English and Chinese documents write them."""


def draw_value(rng: random.Random, language: str, attribute: str) -> str:
    """A value for an attribute, written the way documents in `language` write it.

    Raises ValueError for an attribute that the world does not have.
    """
    words = lexicon(language)
    zh = language == "zh"
    if attribute in PAIRS:
        first, second = PAIRS[attribute]
        return ("" if zh else " ").join((rng.choice(words[first]), rng.choice(words[second])))
    if attribute in AMOUNTS:
        least, most, english, chinese = AMOUNTS[attribute]
        return (chinese if zh else english).format(rng.randint(least, most))
    if ANSWER_TYPES.get(attribute) == "date":
        year, month, day = rng.randint(1951, 2024), rng.randint(1, 12), rng.randint(1, 28)
        return f"{year}年{month}月{day}日" if zh else f"{day} {words['month'][month - 1]} {year}"
    return _draw_code(rng, attribute)


def _draw_code(rng: random.Random, attribute: str) -> str:
    def letters(count: int) -> str:
        return "".join(rng.choice("ABCDEFGHJKLMNPQRSTUVWXYZ") for _ in range(count))

    match attribute:
        case "license":
            return f"{letters(2)}-{rng.randint(1000, 9999)}"
        case "office":
            return f"{letters(1)}-{rng.randint(101, 989)}"
        case "service":
            return f"{rng.randint(1000, 9999)}-{letters(2)}"
        case "file":
            return f"{rng.randint(1951, 2024)}/{rng.randint(11, 99)}"
    raise _unknown(attribute)


def draw_entity(
    rng: random.Random, language: str, kind: str, taken: Iterable[str] = (), names: int | None = None
) -> Entity:
    """A fresh entity whose name is not in `taken` and made of the first `names` words of each name list, or of any."""
    banned = taken if isinstance(taken, (set, frozenset)) else set(taken)
    while True:
        name, parts = draw_name(rng, language, kind, names)
        if name not in banned:
            break
    values = {a.name: draw_value(rng, language, a.name) for a in attributes(language, kind)}
    return Entity(language, kind, name, parts, values)


def make_world(seed: int | str, language: str, per_kind: int, taken: Sequence[str] = ()) -> list[Entity]:
    """`per_kind` entities of each kind, with names that differ from each other and from `taken`."""
    rng = random.Random(f"world {language} {seed}")
    names = set(taken)
    made = []
    for _ in range(per_kind):
        for kind in KINDS:
            made.append(draw_entity(rng, language, kind, names))
            names.add(made[-1].name)
    return made


def attribute_of(entity: Entity, name: str) -> Attribute:
    """The attribute `name` of the entity's kind, in the entity's language."""
    return next(a for a in attributes(entity.language, entity.kind) if a.name == name)


def ask_in(language: str, attribute: str, name: str) -> str:
    """The first held-out question for an attribute, in any language, of an entity whose name stays as it is.

    Raises ValueError for an attribute that the world does not have.
    """
    every = (one for kind in KINDS for one in attributes(language, kind))
    found = next((one for one in every if one.name == attribute), None)
    if found is None:
        raise _unknown(attribute)
    return _sentence(found.questions_b[0], name)


def _unknown(attribute: str) -> ValueError:
    return ValueError(f"the world has no attribute {attribute!r}; it has {', '.join(ANSWER_TYPES)}")


def document_words(language: str) -> dict[str, Any]:
    """Titles, filler sentences and page furniture for documents in `language`."""
    words: dict[str, Any] = _toml(language)["documents"]
    return words
