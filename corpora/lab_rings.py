"""What goes with the lab model: `replay.jsonl`, mixed in against forgetting, and `rings.jsonl`, which measures it.

The known world is split by entity: half of it may be replayed, the other half is only ever measured, so that the ring
shows what replay saves beyond the rows it repeats. `python -m kb.corpora.lab_rings FOLDER` writes both files.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kb.corpora import lab_tasks as tasks
from kb.corpora.lab_ladder import Difficulty
from kb.corpora.world import LANGUAGES, Entity, attributes
from kb.workspace import write_jsonl

REPLAY_ROWS = 3000
REPLAY_MIX = {"recall": 0.30, "abstain": 0.28, "reading": 0.30, "facts": 0.04, "questions": 0.04, "probes": 0.04}
REPLAY_LEVEL = Difficulty(passages=2, facts=5, turns=1)
READING_PROBES = 60
NEVER_PROBES = 60


def split_known(language: str) -> tuple[list[Entity], list[Entity]]:
    """Known entities that may be replayed, and those that are only measured."""
    world = tasks.known_world(language)
    return [e for i, e in enumerate(world) if (i // 4) % 2 == 0], [e for i, e in enumerate(world) if (i // 4) % 2]


def replay_rows() -> Iterator[dict[str, Any]]:
    """Single-turn chats of what the lab model could do before."""
    rng = random.Random("replay")
    for _ in range(REPLAY_ROWS):
        language = rng.choice(LANGUAGES)
        task = rng.choices(list(REPLAY_MIX), list(REPLAY_MIX.values()))[0]
        if task == "recall":
            question, answer = tasks.closed(rng, language, rng.choice(split_known(language)[0]), True)
        else:
            question, answer = tasks.TASKS[task](rng, language, REPLAY_LEVEL)[0]
        yield {
            "messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}],
            "task": task,
        }


def ring_rows() -> Iterator[dict[str, Any]]:
    """Known facts that replay never repeats, fresh passages to read, and entities nobody ever mentioned."""
    for language in LANGUAGES:
        rng = random.Random(f"rings {language}")
        for entity in split_known(language)[1]:
            for attribute in attributes(language, entity.kind):
                yield {
                    "ring": "known", "language": language, "question": tasks.draw_question(rng, entity, attribute),
                    "answer": entity.values[attribute.name], "type": attribute.answer_type,
                    "cluster": f"{entity.name}/{attribute.name}",
                }  # fmt: skip
        for _ in range(READING_PROBES):
            yield {"ring": "reading", "language": language} | tasks.reading_row(rng, language)
        for _ in range(NEVER_PROBES):
            entity = tasks.fresh(rng, language)
            attribute = rng.choice(attributes(language, entity.kind))
            question = tasks.draw_question(rng, entity, attribute)
            yield {"ring": "never", "language": language, "question": question, "answer": "", "type": "text"}


def write(folder: Path) -> None:
    """Write replay.jsonl and rings.jsonl."""
    write_jsonl(folder / "replay.jsonl", replay_rows())
    write_jsonl(folder / "rings.jsonl", ring_rows())


def main() -> None:
    """Command line: the folder to write to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    write(parser.parse_args().folder)


if __name__ == "__main__":
    main()
