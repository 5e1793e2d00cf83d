"""Facts and questions to rows: QA pairs for SFT and preference pairs for DPO."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Sequence

from kb.qa_gen.asking import Workbench
from kb.qa_gen.filters import mentions
from kb.records import Fact, PreferencePair, QAPair, Question, make_id
from kb.retrieval.bm25 import Bm25, best_places
from kb.text.canonical import canonical, quantities
from kb.text.match import same
from kb.text.similar import ngram_jaccard

NEIGHBOURS = 40
"""Facts with the most similar statements that are looked at for a wrong answer."""
BLOCK = 2000
"""Facts among which neighbours are looked for: every one is compared with all others."""
SAME_QUESTION = 0.9
"""Likeness of two statements without their answers from which they may answer one question, both truly."""


def make_pairs(bench: Workbench, facts: Sequence[Fact], trained: dict[str, list[Question]]) -> list[QAPair]:
    """Every training wording with the short answer, the first few also with a full sentence.

    The short answer is the same each time. Of full ones a fact has the model's sentence and its own statement, in turn:
    answers in one wording alone are learnt by heart (PA-RAG gains up to a tenth of its recall by varied ones).
    """
    pairs = []
    for fact in facts:
        sentences = list({canonical(text): text for text in (fact.statement, fact.full_answer) if text}.values())[::-1]
        for number, question in enumerate(trained[fact.id]):
            pairs.append(_pair(question, "short", fact.answer))
            if number < bench.config.full_answers:
                pairs.append(_pair(question, "full", sentences[number % len(sentences)]))
    return pairs


def reversed_pairs(questions: Sequence[Question]) -> list[QAPair]:
    """Trained questions that give a fact's answer, with what it belongs to."""
    return [_pair(q, "reversed", q.answer) for q in questions if q.kind == "reversed" and q.split == "train"]


def detailed_pairs(answered: Sequence[tuple[Question, str]]) -> list[QAPair]:
    """Questions about a chunk with their long answers."""
    return [_pair(question, "detailed", answer) for question, answer in answered]


def refusal_pairs(bench: Workbench, negatives: Sequence[Question]) -> list[QAPair]:
    """Training questions without an answer, with the sentence that says so."""
    return [_pair(q, "refusal", bench.refusal(q.language)) for q in negatives if q.split == "train"]


def _pair(question: Question, form: str, answer: str) -> QAPair:
    id = make_id("pair", question.id, form, answer)
    return QAPair(id, question.id, question.fact_id, form, question.text, answer, question.language)


def make_preferences(
    bench: Workbench, facts: Sequence[Fact], trained: dict[str, list[Question]], negatives: Sequence[Question]
) -> list[PreferencePair]:
    """Right answer over a neighbour's answer of the same type, and refusing a near miss over answering it.

    `kb train` adds pairs of the tuned model's own answers, which teach more than these.
    """
    pairs = []
    for fact, other in _confusions(facts):
        pairs.append(_preference(trained[fact.id][0], fact.id, "swap", fact.answer, other.answer))
    answers = {fact.id: fact.answer for fact in facts}
    for question in negatives:
        if question.split == "train" and question.fact_id in answers:
            wrong = answers[question.fact_id]
            refusal = bench.refusal(question.language)
            pairs.append(_preference(question, question.fact_id, "refusal", refusal, wrong))
    return pairs


def _confusions(facts: Sequence[Fact]) -> list[tuple[Fact, Fact]]:
    """Each fact with the likeliest confusion: of those of its type with another answer, the most similarly worded."""
    groups: dict[tuple[str, str, str], list[Fact]] = defaultdict(list)
    for fact in facts:
        groups[_form(fact)].append(fact)
    found: dict[str, Fact] = {}
    for group in itertools.chain.from_iterable(map(_blocks, groups.values())):
        index = Bm25([fact.statement for fact in group])
        for fact in group:
            likely = (group[place] for place in best_places(index.scores(fact.statement), NEIGHBOURS))
            other = next((other for other in likely if _excludes(fact, other)), None)
            if other:
                found[fact.id] = other
    return [(fact, found[fact.id]) for fact in facts if fact.id in found]


def _blocks(group: Sequence[Fact]) -> list[Sequence[Fact]]:
    """A group in as few parts of equal size as are needed for none to have more than BLOCK, in its order."""
    size = math.ceil(len(group) / math.ceil(len(group) / BLOCK))
    return [group[start : start + size] for start in range(0, len(group), size)]


def _form(fact: Fact) -> tuple[str, str, str]:
    """What two answers must have in common so that one can be taken for the other: type, unit and language."""
    given = quantities(fact.answer) if fact.answer_type in ("number", "money") else []
    return fact.answer_type, given[0].base[1] if given else "", fact.language


def _excludes(fact: Fact, other: Fact) -> bool:
    """Whether the other fact's answer is wrong for this one: it differs, and the two are not members of one list."""
    if same(other.answer, fact.answer, fact.answer_type):
        return False
    if mentions(other.answer, fact.answer) or any(mentions(t, other.answer) for t in (fact.evidence, fact.statement)):
        return False
    return ngram_jaccard(_without_answer(fact), _without_answer(other)) < SAME_QUESTION


def _without_answer(fact: Fact) -> str:
    return canonical(fact.statement).replace(canonical(fact.answer), " ")


def _preference(question: Question, fact_id: str, source: str, chosen: str, rejected: str) -> PreferencePair:
    id = make_id("pref", question.id, source, chosen, rejected)
    return PreferencePair(id, question.id, fact_id, source, question.text, chosen, rejected, question.language)
