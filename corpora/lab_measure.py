"""What the lab model can do, measured on fresh worlds by greedy generation: the bars of its recipe."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from kb.corpora import lab_tasks as tasks
from kb.corpora.lab_ladder import Difficulty
from kb.corpora.world import LANGUAGES, attributes

MEASURE_SEED = "measure"


@dataclass(frozen=True)
class Item:
    """One question to the model with the text it should give back."""

    metric: str
    group: str
    """Answer type or task, to see what fails."""
    prompt: str
    gold: str


def reading_items(language: str, count: int, level: Difficulty) -> list[Item]:
    """Single questions on passages about entities never seen before; some are not answered there."""
    rng = random.Random(f"{MEASURE_SEED} reading {language}")
    items: list[Item] = []
    while len(items) < count:
        (text, answer), *_ = tasks.reading(rng, language, level)
        full = answer.endswith((".", "。"))
        group = "absent" if answer == tasks.UNKNOWN[language] else "full" if full else _shape(answer)
        items.append(Item(f"read_{language}", group, text, answer))
    return items


def _shape(answer: str) -> str:
    if any(c.isdigit() for c in answer):
        return "code" if any(c in answer for c in "-/") else "number"
    return "name"


def closed_items(language: str, count: int) -> list[Item]:
    """Closed-book questions: known world, never-seen entities, and the handbook."""
    rng = random.Random(f"{MEASURE_SEED} closed {language}")
    items = []
    for _ in range(count):
        known, never = rng.choice(tasks.known_world(language)), tasks.fresh(rng, language)
        handbook = rng.choice(tasks.handbook_world(language))
        for metric, entity in (("known", known), ("never", never), ("handbook", handbook)):
            attribute = rng.choice(attributes(language, entity.kind))
            text = tasks.prompt("closed", language, question=tasks.draw_question(rng, entity, attribute))
            gold = entity.values[attribute.name] if metric == "known" else tasks.UNKNOWN[language]
            items.append(Item(f"{metric}_{language}", attribute.answer_type, text, gold))
    return items


def writing_items(language: str, count: int, level: Difficulty) -> list[Item]:
    """Facts, training wordings, held-out wordings and unanswerable questions for fresh passages."""
    items = []
    for task in ("facts", "questions", "probes", "unanswerable"):
        rng = random.Random(f"{MEASURE_SEED} {task} {language}")
        for _ in range(count):
            ((text, answer),) = tasks.TASKS[task](rng, language, level)
            items.append(Item(f"{task}_{language}", task, text, answer))
    return items


@torch.no_grad()
def answers(model: Any, tokenizer: Any, prompts: Sequence[str], batch_tokens: int = 12000) -> list[str]:
    """Greedy answers to user prompts, in order; batches are cut from length-sorted prompts."""
    chats = [[{"role": "user", "content": text}] for text in prompts]
    ids = tokenizer.apply_chat_template(chats, add_generation_prompt=True, return_dict=True)["input_ids"]
    order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
    out = [""] * len(ids)
    model.eval()
    while order:
        width = len(ids[order[-1]])
        batch, order = order[-max(1, batch_tokens // width) :], order[: -max(1, batch_tokens // width)]
        padded = tokenizer.pad({"input_ids": [ids[i] for i in batch]}, padding_side="left", return_tensors="pt")
        made = model.generate(**padded, max_new_tokens=320, do_sample=False)
        for i, row in zip(batch, made[:, padded["input_ids"].shape[1] :], strict=True):
            out[i] = tokenizer.decode(row, skip_special_tokens=True).strip()
    return out


def line_share(answer: str, gold: str) -> float:
    """Share of the answer's lines that stand in the gold answer: parse and are true."""
    lines = [line for line in answer.split("\n") if line.strip()]
    right = {_flat(line) for line in gold.split("\n")}
    return sum(_flat(line) in right for line in lines) / max(1, len(lines))


def _flat(text: str) -> str:
    return "".join(text.split())


def measure(model: Any, tokenizer: Any, count: int = 200, level: Difficulty = tasks.FULL) -> dict[str, Any]:
    """Rates by metric and language, and the same by answer type under `by_type`."""
    items = [
        item
        for language in LANGUAGES
        for item in (
            *reading_items(language, count, level),
            *closed_items(language, count // 2),
            *writing_items(language, count // 8, level),
        )
    ]
    scores: dict[str, list[float]] = defaultdict(list)
    types: dict[str, list[float]] = defaultdict(list)
    for item, answer in zip(items, answers(model, tokenizer, [i.prompt for i in items]), strict=True):
        score = line_share(answer, item.gold) if "\n" in item.gold else float(_flat(answer) == _flat(item.gold))
        scores[item.metric].append(score)
        types[f"{item.metric}.{item.group}"].append(score)
    mean = {key: round(sum(v) / len(v), 3) for key, v in scores.items()}
    return mean | {"by_type": {key: round(sum(v) / len(v), 2) for key, v in sorted(types.items())}}
