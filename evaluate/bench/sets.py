"""Public benchmarks that `kb bench` knows: the columns of their files, and the task of lm-evaluation-harness."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

LETTERS = "ABCD"
GOLD, SUBJECT = "kb_gold", "kb_subject"
"""Columns that are added to every item: the place of the right choice (absent without choices), and the subject."""
Row = Mapping[str, Any]


class WrongForm(ValueError):
    """A row that is not of the benchmark; the message says what it should have."""


@dataclass(frozen=True)
class BenchSet:
    """One public benchmark."""

    name: str
    task: str
    """File of its task among those of lm-evaluation-harness."""
    read: Callable[[Row], dict[str, Any]]
    """A row of its files as the task reads it, with `GOLD`; raises KeyError, TypeError, ValueError for another."""
    columns: str
    """What a file needs, for people."""
    about: str = ""
    """Description of the task by subject, where it has one; the harness's own words, filled in."""
    one_subject: str = ""
    """File of the task of one subject, whose description is the published one."""
    differs: str = "no examples in the prompt"
    """What is not as in the published protocol."""


def _letter(value: Any) -> int:
    """The place of an answer: a letter, or a number from 0."""
    text = str(value).strip().upper()
    place = LETTERS.index(text) if len(text) == 1 and text in LETTERS else int(text)
    if not 0 <= place < len(LETTERS):
        raise ValueError(text)
    return place


def _texts(values: Any) -> list[str]:
    """Choices as a list; CSV files of numpy's arrays hold them as text."""
    if isinstance(values, str):
        values = [one or other for one, other in re.findall(r"'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"", values)]
    found = [str(value) for value in values]
    if len(found) < 2:
        raise ValueError("fewer than two choices")
    return found


def _mmlu(row: Row) -> dict[str, Any]:
    choices = _texts(row["choices"]) if "choices" in row else [str(row[letter]) for letter in LETTERS]
    gold = _letter(row["answer"])
    return {"question": str(row["question"]), "choices": choices, "answer": gold, GOLD: gold}


def _ceval(row: Row) -> dict[str, Any]:
    fields = {name: str(row[name]) for name in ("question", *LETTERS)}
    gold = _letter(row["answer"])
    return fields | {"answer": LETTERS[gold], GOLD: gold}


def _cmmlu(row: Row) -> dict[str, Any]:
    fields = {name: str(row[name]) for name in ("Question", *LETTERS)}
    gold = _letter(row["Answer"])
    return fields | {"Answer": LETTERS[gold], GOLD: gold}


def _arc(row: Row) -> dict[str, Any]:
    """The hub's form, or that of the authors' JSONL, where question and choices are one object."""
    question, choices = row["question"], row.get("choices")
    if isinstance(question, Mapping):
        listed = question["choices"]
        question, choices = (
            question["stem"],
            {key: [one[key] for one in listed] for key in ("text", "label")},
        )
    if not isinstance(choices, Mapping):
        raise WrongForm("choices is no object with text and label")
    texts, labels = _texts(choices["text"]), [str(label) for label in choices["label"]]
    gold = labels.index(str(row["answerKey"]))
    found = {"question": str(question), "choices": {"text": texts, "label": labels}, "answerKey": labels[gold]}
    return found | {GOLD: gold}


def _hellaswag(row: Row) -> dict[str, Any]:
    fields = {name: str(row[name]) for name in ("activity_label", "ctx_a", "ctx_b")}
    endings, gold = _texts(row["endings"]), int(row["label"])
    if not 0 <= gold < len(endings):
        raise ValueError(gold)
    return fields | {"endings": endings, "label": str(gold), GOLD: gold}


def _truthfulqa(row: Row) -> dict[str, Any]:
    """The hub's form, or that of the authors' mc_task.json; the right choice first, as the task wants it."""
    targets = row["mc1_targets"]
    pairs = list(zip(targets["choices"], targets["labels"], strict=True)) if "labels" in targets else targets.items()
    ordered = sorted(((str(text), int(right)) for text, right in pairs), key=lambda pair: -pair[1])
    if len(ordered) < 2 or [right for _, right in ordered].count(1) != 1:
        raise ValueError("not exactly one right choice")
    choices = [text for text, _ in ordered]
    targets = {"choices": choices, "labels": [1] + [0] * (len(choices) - 1)}
    return {"question": str(row["question"]), "mc1_targets": targets, GOLD: 0}


def _gsm8k(row: Row) -> dict[str, Any]:
    answer = str(row["answer"])
    if "####" not in answer:
        raise WrongForm("the answer does not end in #### and a number")
    return {"question": str(row["question"]), "answer": answer}


LETTERED = "A, B, C, D"
SETS = {
    one.name: one
    for one in (
        BenchSet(
            "mmlu", "mmlu/default/_default_template_yaml", _mmlu,
            f"question, choices (or {LETTERED}), answer, and subject where the file has several",
            "The following are multiple choice questions (with answers) about {}.\n\n",
            "mmlu/default/mmlu_{}.yaml", "no examples in the prompt (published: 5)",
        ),
        BenchSet("arc", "arc/arc_challenge.yaml", _arc, "question, choices (text, label), answerKey",
                 differs="no examples in the prompt (published: 25)"),
        BenchSet("hellaswag", "hellaswag/hellaswag.yaml", _hellaswag,
                 "activity_label, ctx_a, ctx_b, endings, label", differs="no examples in the prompt (published: 10)"),
        BenchSet("truthfulqa", "truthfulqa/truthfulqa_mc1.yaml", _truthfulqa, "question, mc1_targets",
                 differs="asked in the single-answer form (MC1) alone"),
        BenchSet(
            "ceval", "ceval/_default_ceval_yaml", _ceval, f"question, {LETTERED}, answer, and subject",
            "以下是中国关于{}的单项选择题，请选出其中的正确答案。\n\n", "ceval/ceval-valid_{}.yaml",
            "no examples in the prompt (published: 5)",
        ),
        BenchSet(
            "cmmlu", "cmmlu/_default_template_yaml", _cmmlu, f"Question, {LETTERED}, Answer, and subject",
            "以下是关于{}的单项选择题，请直接给出正确答案的选项。\n\n", "cmmlu/cmmlu_{}.yaml",
            "no examples in the prompt (published: 5)",
        ),
        BenchSet("gsm8k", "gsm8k/gsm8k.yaml", _gsm8k, "question, answer (ending in #### and a number)",
                 differs="no examples in the prompt (published: 5 to 8); the last number of an answer counts"),
    )
}  # fmt: skip
"""By the name that a command takes."""
