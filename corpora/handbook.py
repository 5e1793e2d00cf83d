"""The bundled handbook: about forty documents of the fictional world in both languages and all formats, with its facts.

`python -m kb.corpora.handbook FOLDER` writes it, byte for byte the same each time.
"""

from __future__ import annotations

import argparse
import random
import shutil
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

from kb.corpora.documents import STYLES, Composition, StatedFact, as_lines, compose
from kb.corpora.lab_tasks import handbook_world
from kb.corpora.rendering import render
from kb.corpora.world import LANGUAGES, attributes
from kb.workspace import write_jsonl

FACTS_EACH = 5
"""Attributes that the documents state of each entity; the sixth is what an unanswerable question asks."""

FORMATS = ("pdf", "docx", "pptx", "txt", "md")


def bundled() -> Path:
    """The folder of the bundled handbook."""
    return Path(str(resources.files("kb.corpora"))) / "handbook"


def compositions() -> Iterator[tuple[str, str, Composition]]:
    """File name, text encoding and content of each document."""
    for language in LANGUAGES:
        rng = random.Random(f"handbook {language}")
        entities = list(handbook_world(language))
        rng.shuffle(entities)
        number = 0
        while entities:
            count = 1 if number % 2 else 2
            about, entities = entities[:count], entities[count:]
            suffix = FORMATS[number % len(FORMATS)]
            style = STYLES[(number // len(FORMATS)) % len(STYLES)]
            encoding = "gb18030" if language == "zh" and number % 2 else "utf-8"
            number += 1
            yield f"{language}/{number:02d}.{suffix}", encoding, compose(rng, about, FACTS_EACH, style)


def fact_row(file: str, fact: StatedFact) -> dict[str, Any]:
    """A line of facts.jsonl: the truth about one fact, and every way to ask for it."""
    entity, attribute = fact.entity, fact.attribute
    return {
        "file": file, "language": entity.language, "entity": entity.name, "kind": entity.kind,
        "attribute": attribute.name, "answer": fact.value, "answer_type": attribute.answer_type,
        "statement": entity.state(attribute), "evidence": fact.evidence,
        "questions_a": [entity.ask(attribute, "a", i) for i in range(len(attribute.questions_a))],
        "questions_b": [entity.ask(attribute, "b", i) for i in range(len(attribute.questions_b))],
    }  # fmt: skip


def unstated_rows() -> Iterator[dict[str, Any]]:
    """Lines of unanswerable.jsonl: questions about the handbook's entities that no document answers."""
    stated = {(f.entity.name, f.attribute.name) for _, _, document in compositions() for f in document.facts}
    for language in LANGUAGES:
        for entity in handbook_world(language):
            for attribute in attributes(language, entity.kind):
                if (entity.name, attribute.name) not in stated:
                    questions = [entity.ask(attribute, "b", i) for i in range(len(attribute.questions_b))]
                    yield {
                        "language": language, "entity": entity.name, "attribute": attribute.name,
                        "questions": questions,
                    }  # fmt: skip


def write(folder: Path) -> int:
    """Write documents, facts.jsonl and unanswerable.jsonl to `folder`, replacing what was there. Returns the facts."""
    rows = []
    for language in LANGUAGES:
        shutil.rmtree(folder / "docs" / language, ignore_errors=True)
        (folder / "docs" / language).mkdir(parents=True)
    for name, encoding, document in compositions():
        render(document, folder / "docs" / name, encoding)
        sections = map(as_lines, document.sections) if name.endswith(".txt") else document.sections
        rows += [fact_row(name, fact) for section in sections for fact in section.facts]
    write_jsonl(folder / "unanswerable.jsonl", unstated_rows())
    return write_jsonl(folder / "facts.jsonl", rows)


def main() -> None:
    """Command line: the folder to write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    write(parser.parse_args().folder)


if __name__ == "__main__":
    main()
