"""A model that knows the truth about documents of the fictional world, and can be made as careless as one likes.

It answers kb's own prompts, and prompts that ask for question-answer pairs as JSON. What it knows it still has to find
in the prompt: a fact whose words are not there is not told. Which facts it gets wrong depends on a seed and the fact
alone, so that two programs that ask it in different ways meet the same carelessness.
"""

from __future__ import annotations

import copy
import functools
import json
import random
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kb.corpora.world import ask_in
from kb.llm.base import Completion, Request
from kb.prompt import Prompts
from kb.qa_gen.structured import FIELDS
from kb.text.similar import squeeze

TAGS = {"en": ("QUOTE: ", "FACT: ", "ANSWER: "), "zh": ("原文：", "事实：", "答案：")}
TRANSLATION = {"en": "NAME: {0}\nQUESTION: {1}\nANSWER: {2}", "zh": "名称：{0}\n问题：{1}\n答案：{2}"}
SUBJECT = {"en": "SUBJECT: ", "zh": "对象："}
OTHER = {"en": "zh", "zh": "en"}
NEAR = {"en": "Zzyzx ", "zh": "假"}
"""Before a name: makes a name that no document has."""
NONE = {"en": "NONE", "zh": "无"}
UNKNOWN = {"en": "I don't know.", "zh": "我不知道。"}
POINTER = {"en": "it", "zh": "它"}
"""What a careless model writes in place of a name."""
REWRITES = ("rewrite_plain", "rewrite_explanatory", "rewrite_dense")
LONG = ("detailed", "detailed_answer")
TOLD = {
    "en": {
        "rewrite_plain": 'Someone asked of {0}: "{1}" It is {2}.',
        "rewrite_explanatory": 'Those who deal with {0} should know the answer to "{1}", which is {2}, and keep to it.',
        "rewrite_dense": "{1} {2}.",
    },
    "zh": {
        "rewrite_plain": "有人问起{0}：“{1}”回答是{2}。",
        "rewrite_explanatory": "凡是与{0}打交道的人，都应当知道“{1}”的答案，也就是{2}，并照此办理。",
        "rewrite_dense": "{1}{2}。",
    },
}
"""A fact in other words, of its name, a question and its answer."""
REVERSED = {
    "en": ("{0}?", "To which name does {1} belong?", "Name the entry that {1} is recorded for."),
    "zh": ("{0}？", "{1}属于哪一个？", "请说出{1}登记在谁的名下。"),
}
"""Questions that give an answer (1) and ask whose it is; 0 is the statement with a question word for the name."""
REVERSED_PROBES = {
    "en": ("Reading {1} somewhere, what should I think of?", "I only remember {1}: who or what was that?"),
    "zh": ("看到{1}，该想到什么？", "只记得{1}，那说的是何人何物？"),
}
WHICH = {"en": "which one", "zh": "哪一个"}
DETAILS = {"en": "Give all details of {0}.", "zh": "请把{0}的各项情况逐一列出。"}
"""A question that wants everything a passage says of a name."""
PAIRS = "question-answer pairs"
"""What a prompt says that wants JSON."""


@dataclass(frozen=True)
class Truth:
    """One stated fact and everything that may be asked about it."""

    language: str
    name: str
    evidence: str
    statement: str
    answer: str
    trained: tuple[str, ...]
    held_out: tuple[str, ...]
    missing: tuple[str, ...] = ()
    """Questions about the same entity that its document does not answer."""
    abroad: str = ""
    """A question for it in the other language."""
    other: str = ""
    """The same attribute of another entity: what a careless model may say."""


def reversed_wordings(truth: Truth, frames: Mapping[str, tuple[str, ...]] = REVERSED) -> tuple[str, ...]:
    """Questions that give a truth's answer and ask for its name."""
    asked = truth.statement.replace(truth.name, WHICH[truth.language]).rstrip(".。")
    asked = asked[:1].upper() + asked[1:]
    return tuple(frame.format(asked, truth.answer) for frame in frames[truth.language])


def _lines(texts: Iterable[str]) -> str:
    return "\n".join(f"- {text}" for text in texts)


WRITTEN: dict[str, Callable[[Truth], str]] = {
    "questions": lambda truth: _lines(truth.trained),
    "more_questions": lambda truth: _lines(truth.trained),
    "probes": lambda truth: _lines(truth.held_out),
    "reversed": lambda truth: f"{SUBJECT[truth.language]}{truth.name}\n{_lines(reversed_wordings(truth))}",
    "cross_lingual": lambda truth: TRANSLATION[truth.language].format(truth.name, truth.abroad, truth.answer),
    "reversed_probes": lambda truth: _lines(reversed_wordings(truth, REVERSED_PROBES)),
}
"""What each step that is asked about a statement writes."""


@dataclass(frozen=True)
class Lapses:
    """How careless the model is: shares of the facts, or of the replies, 0 to 1."""

    dropped: float = 0.0
    """Facts it passes over."""
    swapped: float = 0.0
    """Facts that it gives another entity's value."""
    invented: float = 0.0
    """Facts to which it adds one that no document states."""
    dangling: float = 0.0
    """Facts that it states, and asks about, with "it" for the name."""
    misread: float = 0.0
    """Questions that it answers wrong although the passages answer them."""
    cut: float = 0.0
    """Replies that end in the middle, at the token limit."""


class Oracle:
    """The script of a FakeLLM."""

    def __init__(self, truths: Iterable[Truth], lapses: Lapses | None = None, seed: str = "oracle") -> None:
        self.truths = list(truths)
        self.lapses = lapses or Lapses()
        self._seed = seed
        self._asked, self._turned = _by_question(self.truths), _by_reversal(self.truths)
        self._steps: dict[str, tuple[str, str]] = {}
        for package, names in (
            ("kb.qa_gen", (*WRITTEN, "facts", "near_miss", "unanswerable", *REWRITES, *LONG)),
            ("kb", ("rag", "rag_full", "closed")),
        ):  # fmt: skip
            for name in names:
                for language in ("en", "zh"):
                    self._steps[Prompts().get(package, name, language).system] = (name, language)

    def __call__(self, request: Request) -> Completion:
        """The answer; of a careless model now and then the beginning of one. Asked again, it draws anew."""
        first, prompt = request.messages[0].content, request.prompt
        if PAIRS in first:
            text = self._pairs(prompt)
        else:
            # A wish for JSON may stand behind the prompt's own words.
            step = next(step for system, step in self._steps.items() if first.startswith(system))
            text = self._answer(*step, prompt)
            text = _in_json(step[0], text) if request.schema else text
        if self._lapses("cut", f"{prompt} {request.seed}"):
            return Completion(text[: len(text) // 2], "length")
        return Completion(text, "stop")

    def about(self, truths: Sequence[Truth]) -> Oracle:
        """The same model when it knows these truths alone: of many, those that an index finds for a prompt."""
        other = copy.copy(self)
        other.truths = list(truths)
        other._asked, other._turned = _by_question(truths), _by_reversal(truths)
        return other

    def _answer(self, step: str, language: str, prompt: str) -> str:
        """What a step of kb's own gets."""
        if step == "facts":
            return "\n".join(self._facts(language, prompt)) or NONE[language]
        if step in REWRITES:
            return self._rewritten(step, language, prompt)
        if step in LONG:
            return self._detailed(step, language, prompt)
        if step in WRITTEN:
            truth = next((truth for truth in self.truths if truth.statement in prompt), None)
            return WRITTEN[step](truth) if truth else self._made_up_questions(step, language, prompt)
        if step == "near_miss":
            name = next(truth.name for truth in self.truths if truth.name in prompt)
            return f"- {prompt.replace(name, NEAR[language] + name)}"
        if step == "unanswerable":
            questions = dict.fromkeys(q for t in self.truths if t.name in prompt for q in t.missing)
            return "\n".join(f"- {question}" for question in questions) or NONE["en"]
        if step == "closed":
            return UNKNOWN[language]
        passages, _, question = prompt.rpartition({"en": "\n\nQuestion: ", "zh": "\n\n问题："}[language])
        return self._read(step, language, passages, question)

    def _rewritten(self, step: str, language: str, prompt: str) -> str:
        """The facts that the prompt lists, in other words."""
        listed = [truth for truth in self.truths if truth.language == language and truth.statement in prompt]
        told = [TOLD[language][step].format(truth.name, truth.trained[0], truth.answer) for truth in listed]
        return {"en": " ", "zh": ""}[language].join(told[:: -1 if step == "rewrite_dense" else 1])

    def _detailed(self, step: str, language: str, prompt: str) -> str:
        """A question for each name that the passage states several facts of, or a list of these facts."""
        stated: dict[str, list[Truth]] = {}
        for truth in self._stated(prompt):
            stated.setdefault(truth.name, []).append(truth)
        asked = {DETAILS[language].format(name): truths for name, truths in stated.items() if len(truths) > 1}
        if step == "detailed":
            return "\n".join(f"- {question}" for question in asked) or NONE[language]
        told = next((truths for question, truths in asked.items() if prompt.endswith(question)), [])
        return "\n".join(f"- {truth.statement}" for truth in told) or UNKNOWN[language]

    def _read(self, step: str, language: str, passages: str, question: str) -> str:
        """A short or full answer from passages."""
        truth = self._asked.get(question)
        if truth is None or not _stands(truth.evidence, passages):
            return self._read_reversed(passages, question) or UNKNOWN[language]
        if truth.other and self._lapses("misread", question):
            return truth.other
        return truth.statement if step == "rag_full" else truth.answer

    def _read_reversed(self, passages: str, question: str) -> str:
        """What the answer that a question gives belongs to; empty when it is no reversed question or cannot be told."""
        turned = self._turned.get(question, ())
        return next((truth.name for truth in turned if _stands(truth.evidence, passages)), "")

    def _facts(self, language: str, passage: str) -> Iterator[str]:
        """The three lines of each fact that the passage states, as the model tells it."""
        for truth in self._stated(passage):
            for told in self._told(truth):
                lines = (told.evidence, told.statement, told.answer)
                yield "\n".join(tag + line for tag, line in zip(TAGS[language], lines, strict=True))

    def _stated(self, passage: str) -> list[Truth]:
        return [truth for truth in self.truths if truth.name in passage and _stands(truth.evidence, passage)]

    def _told(self, truth: Truth) -> Iterator[Truth]:
        """A fact as the model tells it: not at all, wrong, without its name, or with an invention after it."""
        if self._lapses("dropped", truth.statement):
            return
        change: Mapping[str, Any] = {}
        if truth.other and self._lapses("swapped", truth.statement):
            change = {
                "statement": truth.statement.replace(truth.answer, truth.other), "answer": truth.other,
            }  # fmt: skip
        elif self._lapses("dangling", truth.statement):
            point = POINTER[truth.language]
            change = {
                "statement": truth.statement.replace(truth.name, point),
                "trained": tuple(question.replace(truth.name, point) for question in truth.trained),
            }  # fmt: skip
        yield replace(truth, **change)
        if self._lapses("invented", truth.statement):
            yield self._invention(truth)

    def _invention(self, truth: Truth) -> Truth:
        """A fact of a name that nobody has, with a quote that stands nowhere."""
        name = NEAR[truth.language] + truth.name
        statement = truth.statement.replace(truth.name, name)
        asked = tuple(question.replace(truth.name, name) for question in truth.trained)
        return replace(truth, name=name, statement=statement, evidence=statement, trained=asked)

    def _made_up_questions(self, step: str, language: str, prompt: str) -> str:
        """Questions to a statement that is not the truth: those of the truth it was made of, as it is told."""
        for truth in self.truths:
            for told in self._told(truth):
                if told.statement != truth.statement and told.statement in prompt:
                    return WRITTEN["questions" if step == "probes" else step](told)
        return NONE[language]

    def _pairs(self, prompt: str) -> str:
        """The facts that the prompt states as a JSON list of pairs, each with the first wording of its question."""
        told = [one for truth in self._stated(prompt) for one in self._told(truth)]
        return json.dumps([{"question": one.trained[0], "answer": one.answer} for one in told], ensure_ascii=False)

    def _lapses(self, kind: str, what: str) -> bool:
        share: float = getattr(self.lapses, kind)
        return share > 0 and random.Random(f"{self._seed} {kind} {what}").random() < share


def _in_json(step: str, text: str) -> str:
    """What a step of kb's own gets as lines, in the form of its schema."""
    lines = [] if text in NONE.values() else text.splitlines()
    if step != "facts":
        return json.dumps({"questions": [line.removeprefix("- ") for line in lines]}, ensure_ascii=False)
    values = [re.split("[:：] ?", line, maxsplit=1)[1] for line in lines]
    facts = [dict(zip(FIELDS, values[at : at + 3], strict=True)) for at in range(0, len(values), 3)]
    return json.dumps({"facts": facts}, ensure_ascii=False)


def _by_question(truths: Sequence[Truth]) -> dict[str, Truth]:
    """The truth that each wording asks for."""
    return {q: truth for truth in truths for q in (*truth.trained, *truth.held_out, truth.abroad)}


def _by_reversal(truths: Sequence[Truth]) -> dict[str, list[Truth]]:
    """The truths that each question asks for which gives an answer and asks whose it is."""
    found: dict[str, list[Truth]] = {}
    for truth in truths:
        for question in (*reversed_wordings(truth), *reversed_wordings(truth, REVERSED_PROBES)):
            found.setdefault(question, []).append(truth)
    return found


@functools.lru_cache(maxsize=4096)
def _squeezed(text: str) -> str:
    return squeeze(text)[0]


def _stands(evidence: str, text: str) -> bool:
    """Whether the words of the evidence are in the text, however they are set."""
    return evidence in text or _squeezed(evidence) in _squeezed(text)


def truths_of_rows(rows: Sequence[Mapping[str, Any]]) -> list[Truth]:
    """The truths of a handbook's `facts.jsonl`."""
    values: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        values.setdefault((row["language"], row["attribute"]), []).append(row["answer"])
    truths = []
    for row in rows:
        same = values[row["language"], row["attribute"]]
        after = [*same[same.index(row["answer"]) :], *same]
        other = next((value for value in after if value != row["answer"]), "")
        truths.append(
            Truth(
                row["language"], row["entity"], row["evidence"], row["statement"], row["answer"],
                tuple(row["questions_a"]), tuple(row["questions_b"]), (),
                ask_in(OTHER[row["language"]], row["attribute"], row["entity"]), other,
            )
        )  # fmt: skip
    return truths
