"""Instruction following: whether a model still does what it is told, on instructions that a program can check.

After tuning on short answers a chat model often knows the facts and no longer keeps to a form that it is asked for.
following.jsonl has 40 instructions in English and 40 in Chinese, mirrored in what they ask of the form and not in their
words. As in IFEval (Zhou and others, arXiv 2311.07911), prompt level, strict, an instruction is followed where every
constraint of it is kept to by the answer as it stands; whether the answer is any good otherwise is not looked at.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

from kb.evaluate.constraints import CONSTRAINTS
from kb.records import Probe, make_id
from kb.text.judgement import Judgement, correct, wrong
from kb.text.match import nothing_said
from kb.text.refusal import is_refusal
from kb.text.replies import without_thinking

FOLLOWING = "following"
"""The kind of these probes."""
TOKENS = 256
"""Of an answer, at most; what the instructions ask for needs half as many."""
FOLLOWED, BROKEN = "followed", "broken: "
"""The rules of the verdicts; after the second stands the name of the first constraint that is not kept to."""


def following_probes(most: int) -> list[Probe]:
    """At most so many instructions in each language, at even distances, so of many kinds; none for 0.

    An instruction and its mirror in the other language are one cluster. The gold is the constraints, as JSON.
    """
    found = list(_rows())
    pairs = list(dict.fromkeys(row["id"] for row in found))
    chosen = set(pairs[:: -(-len(pairs) // most)]) if most else set()
    return [_probe(row) for row in found if row["id"] in chosen]


def _rows() -> Iterator[dict[str, Any]]:
    text = (files("kb.evaluate") / "following.jsonl").read_text(encoding="utf-8")
    return map(json.loads, text.splitlines())


def _probe(row: dict[str, Any]) -> Probe:
    gold = json.dumps(row["constraints"], ensure_ascii=False)
    id = make_id("prb", FOLLOWING, row["prompt"])
    return Probe(id, f"{FOLLOWING}:{row['id']}", FOLLOWING, row["prompt"], gold, "instruction", row["language"])


def followed(answer: str, gold: str) -> Judgement:
    """The verdict on an answer to an instruction; `gold` is its constraints as JSON, name to argument.

    unparsed   nothing is said (`kb.text.match.nothing_said`)
    correct    every constraint is kept to, rule `followed`
    abstained  one is not, and the answer is a refusal
    wrong      one is not, rule `broken: NAME` of the first

    Raises ValueError for a constraint that there is none of.
    """
    nothing = nothing_said(answer)
    if nothing:
        return nothing
    text = without_thinking(answer).strip()
    for name, argument in json.loads(gold).items():
        if name not in CONSTRAINTS:
            raise ValueError(f"there is no constraint {name!r}; there are: {', '.join(CONSTRAINTS)}")
        if not CONSTRAINTS[name](text, argument):
            return Judgement("abstained", "refusal") if is_refusal(text) else wrong(f"{BROKEN}{name}")
    return correct(FOLLOWED)
