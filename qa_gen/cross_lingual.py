"""Held-out questions in the other language: whether what was taught in Chinese is known in English, and the reverse.

They are never trained, and the model has to answer each from the fact's own passage.

A `Question` of this kind has the language it is asked in, which is not its fact's. What is right is the fact's answer,
as in every question about it; its own `answer` is the same one in the language of the question, an alias that counts as
well, and empty where the typed comparison sees no difference (3000万元 and 30 million yuan are one amount).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from kb.llm import Item
from kb.prompt import Prompt
from kb.qa_gen.asking import Workbench, room
from kb.qa_gen.filters import LONGEST_ANSWER, LONGEST_QUESTION, gives_away, mentions
from kb.qa_gen.identifying import Stated
from kb.qa_gen.standalone import stands_alone
from kb.qa_gen.tagged import Translation, parse_translation
from kb.qa_gen.turned import Forward, answered, apart
from kb.records import KEEP, Fact, Question, Verdict, make_id
from kb.text.canonical import canonical
from kb.text.characters import HAN, plain
from kb.text.language import detect
from kb.text.match import judge, same
from kb.text.numerals import numbers
from kb.text.refusal import is_refusal
from kb.text.terms import count_tokens

OTHER = {"en": "zh", "zh": "en"}
VALUES = ("number", "money", "date", "code")
"""Types of answers that are the same in every language."""
LEAST = 2
"""English words, or Han characters, that a question has beside the name that it keeps."""
CALENDAR = 31
"""A number up to it may be a month or a day, which one language writes as a number and the other as a word."""
_WORD = {"en": re.compile(r"[A-Za-z]{2,}"), "zh": re.compile(f"[{HAN}]")}
_CODE = re.compile(r"(?=[A-Za-z./-]*[0-9])(?=[0-9a-z./-]*[A-Z])[A-Za-z0-9]+(?:[./-][A-Za-z0-9]+)*")


def make_cross_lingual(
    bench: Workbench,
    facts: Sequence[Fact],
    stated: Sequence[Fact],
    forward: Forward,
    further: Mapping[str, Sequence[Question]],
) -> dict[str, list[Question]]:
    """A question by fact id, in the other language; none where [generate] cross_lingual is off.

    `stated` are all facts that were found, and `further`, by fact id, what is asked besides the questions of `forward`.
    A fact that is stated in both languages is not asked: it is taught in both.
    """
    if not bench.config.cross_lingual:
        return {}
    asked = forward.texts | {canonical(question.text) for some in further.values() for question in some}
    made = apart(bench, "cross-lingual", _translate(bench, facts, Stated(stated), forward), asked)
    chosen = [fact for fact in facts if made.get(fact.id)]
    own = {fact.id: bench.retriever.source(fact) for fact in chosen}
    return answered(bench, "cross-lingual", chosen, made, own)


def _translate(
    bench: Workbench, facts: Sequence[Fact], known: Stated, forward: Forward
) -> list[tuple[Fact, list[Question]]]:
    """The first held-out question of each fact in the other language."""

    def item(fact: Fact) -> Item:
        fields = {"question": forward.held_out[fact.id][0].text, "answer": fact.answer, "fact": fact.statement}
        tokens = room(128, 3 * count_tokens(fields["question"] + fact.answer))
        prompt = bench.prompt("cross_lingual", fact.language)
        return bench.item(fact.id, prompt, bench.request(prompt, tokens, **fields))

    made = []
    results = bench.ask("cross-lingual", map(item, facts), [fact.chunk_id for fact in facts], parse_translation)
    for fact, result in zip(facts, results, strict=True):
        if result.value is None:
            continue
        verdict = _check(result.value, fact, known, forward)
        if verdict.keep:
            made.append((fact, [_question(result.value, fact, bench.prompt("cross_lingual", fact.language))]))
        else:
            told = f"{forward.held_out[fact.id][0].text} | {result.value.question} | {result.value.answer}"
            bench.reject("cross-lingual", fact.id, verdict.reason, told)
    return made


def _check(reply: Translation, fact: Fact, known: Stated, forward: Forward) -> Verdict:
    """The question is the same one in the other language, and so is the answer."""
    first = forward.held_out[fact.id][0].text
    wordings = (*forward.trained[fact.id], *forward.held_out[fact.id])
    if not mentions(first, reply.name) or 2 * sum(mentions(one.text, reply.name) for one in wordings) <= len(wordings):
        return Verdict(False, "the name is not what the question is about")
    if not mentions(reply.question, reply.name):
        return Verdict(False, "question without the name")
    twins = (*known.twins(fact), *known.twins(replace(fact, answer=reply.answer)))
    if any(twin.language != fact.language and mentions(twin.statement, reply.name) for twin in twins):
        return Verdict(False, "stated in the other language, too")
    verdict = _check_question(reply, fact, first)
    return _check_answer(reply.answer, fact) if verdict.keep else verdict


def _check_question(reply: Translation, fact: Fact, first: str) -> Verdict:
    text = reply.question
    if len(text) > LONGEST_QUESTION or not stands_alone(text):
        return Verdict(False, "question does not stand alone")
    if not _is_in(text, OTHER[fact.language], reply.name):
        return Verdict(False, "question in another language")
    if gives_away(text, fact) or mentions(text, reply.answer):
        return Verdict(False, "question contains its answer")
    if _figures(text, reply.name) != _figures(first, reply.name):
        return Verdict(False, "question with other numbers or codes")
    return KEEP


def _is_in(text: str, language: str, name: str) -> bool:
    """Whether a text is in a language, the name left out that it keeps in its own."""
    rest = plain(text).replace(plain(name), " ")
    return detect(rest) == language and len(_WORD[language].findall(rest)) >= LEAST


def _figures(text: str, name: str) -> set[Decimal | str]:
    """The numbers of a text beside a name, those left out that a language may write as a word, and its codes."""
    rest = plain(text).replace(plain(name), " ")
    found = {one.value for one in numbers(rest) if not one.loose and (one.value > CALENDAR or one.value % 1)}
    return {*found, *(code.group() for code in _CODE.finditer(rest))}


def _check_answer(text: str, fact: Fact) -> Verdict:
    """A value must be the same one; words must be in the question's language, or those of the fact."""
    if fact.answer_type in VALUES:
        if judge(text, fact.answer, fact.answer_type, fact.aliases).verdict != "correct":
            return Verdict(False, "answer is another value")
    elif len(text) > LONGEST_ANSWER or is_refusal(text):
        return Verdict(False, "answer is no answer")
    elif detect(text) != OTHER[fact.language] and canonical(text) != canonical(fact.answer):
        return Verdict(False, "answer in another language")
    return KEEP


def _question(reply: Translation, fact: Fact, prompt: Prompt) -> Question:
    alias = "" if same(reply.answer, fact.answer, fact.answer_type) else reply.answer
    return Question(
        make_id("qst", fact.id, "cross_lingual", reply.question), fact.chunk_id, fact.id, "cross_lingual", "probe",
        reply.question, OTHER[fact.language], prompt.id, alias,
    )  # fmt: skip
