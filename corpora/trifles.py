"""Questions of the fictional world with trifles changed, beside other wordings of them: where duplicates begin.

A trifle is a change after which the same question is asked in the same way: case, punctuation, word order, politeness,
a function word, a synonym of one. `python -m kb.corpora.trifles FILE` writes what `kb.qa_gen.calibration` reads.
"""

from __future__ import annotations

import argparse
import functools
import random
import re
import tomllib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from kb.corpora.lab_tasks import reserved_names
from kb.corpora.world import KINDS, LANGUAGES, Attribute, Entity, attributes, make_world
from kb.qa_gen.calibration import Group
from kb.text.canonical import canonical
from kb.workspace import write_jsonl

EXACT = ("case", "punctuation")
"""Kinds of trifle that leave the canonical form as it is: the comparison of these forms finds them."""
OTHER = ("word order", "politeness", "function word", "synonym")
SEED = "calibration"


@dataclass(frozen=True)
class Trifle:
    """A question with a trifle changed."""

    kind: str
    text: str


@functools.cache
def _words(language: str) -> dict[str, Any]:
    text = resources.files(__package__).joinpath("lexicon", "trifles.toml").read_text(encoding="utf-8")
    words: dict[str, Any] = tomllib.loads(text)[language]
    return words


def trifles(question: str, name: str, language: str) -> list[Trifle]:
    """Every trifling change that this module knows of a question about `name`, the name left as it is.

    Each differs from the question; those of a kind in OTHER differ in their canonical form, too. A kind that cannot be
    had of a question, such as another word order, is missing.
    """
    made = [Trifle(kind, text) for kind, text in _changes(question, name, language) if text != question]
    return [one for one in made if (canonical(one.text) == canonical(question)) == (one.kind in EXACT)]


def _changes(question: str, name: str, language: str) -> Iterator[tuple[str, str]]:
    words = _words(language)
    bare = question.rstrip(words["marks"])
    low = question if question.startswith((name, "I ")) else question[0].lower() + question[1:]
    forms = {"q": question, "low": low, "bare": bare, "lowbare": low.rstrip(words["marks"])}
    yield "case", question.replace(name, "\0").upper().replace("\0", name)
    yield "punctuation", bare + words["marks"][2]
    for pattern, made in words["order"]:
        match = re.match(pattern, question, re.IGNORECASE)
        if match:
            yield "word order", _moved(match, made, name)
    ordered = any(question.startswith(start) for start in words["orders"])
    for frame in words["politeness_order" if ordered else "politeness"]:
        yield "politeness", frame.format(**forms)
    for kind, pairs in (("function word", words["function_words"]), ("synonym", words["synonyms"])):
        found = next((pair for pair in pairs if _replaced(question, name, language, *pair) != question), None)
        if found:
            yield kind, _replaced(question, name, language, *found)
    for frame in words["fillers"]:
        yield "function word", frame.format(**forms)


def _moved(match: re.Match[str], made: str, name: str) -> str:
    """The parts of a question in another order; words that no longer stand first are small."""
    parts = [part if part.startswith(name) else part[0].lower() + part[1:] for part in match.groups()]
    text = made.format("", *parts)
    return text[0].upper() + text[1:]


def _replaced(question: str, name: str, language: str, old: str, new: str) -> str:
    """The question with one word for another, once; the name, and an article before it, stay."""
    kept = f"the {name}" if f"the {name}" in question else name
    masked = question.replace(kept, "\0")
    pattern = re.escape(old) if language == "zh" or old[0] == " " else rf"\b{re.escape(old)}\b"
    return re.sub(pattern, new, masked, count=1).replace("\0", kept)


def groups() -> Iterator[Group]:
    """A group for every attribute, each family of wordings once as the trained ones.

    Every wording has one trifle. No name is one that the handbook or the lab model has.
    """
    for language, attribute, entity in subjects():
        for trained, others in ("ab", "ba"):
            asked = wordings(entity, attribute, trained)
            changed = tuple(_one(question, entity.name, language) for question in asked)
            yield Group(language, asked, changed, wordings(entity, attribute, others))


def subjects() -> Iterator[tuple[str, Attribute, Entity]]:
    """Every attribute in both languages, each of an entity of its own."""
    for language in LANGUAGES:
        counts = {kind: len(attributes(language, kind)) for kind in KINDS}
        world = make_world(SEED, language, max(counts.values()), sorted(reserved_names(language)))
        for kind in KINDS:
            entities = [entity for entity in world if entity.kind == kind]
            yield from ((language, *pair) for pair in zip(attributes(language, kind), entities, strict=False))


def wordings(entity: Entity, attribute: Attribute, family: str) -> tuple[str, ...]:
    """All wordings of a family for an attribute of an entity."""
    count = len(attribute.questions_a if family == "a" else attribute.questions_b)
    return tuple(entity.ask(attribute, family, number) for number in range(count))


def _one(question: str, name: str, language: str) -> str:
    """A trifle, of a kind drawn from those that can be had."""
    found = [one for one in trifles(question, name, language) if one.kind in OTHER]
    rng = random.Random(f"{SEED} {question}")
    kind = rng.choice(sorted({one.kind for one in found}))
    return rng.choice([one.text for one in found if one.kind == kind])


def write(file: Path) -> int:
    """Write the groups to a file of JSON lines; returns how many."""
    return write_jsonl(file, map(asdict, groups()))


def main() -> None:
    """Command line: the file to write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    write(parser.parse_args().file)


if __name__ == "__main__":
    main()
