"""Reversed questions: they give a fact's answer and ask what it belongs to.

Trained in one direction, a model does not know a fact in the other, however many wordings it was told (Berglund et al.,
The Reversal Curse, arXiv 2309.12288). So a fact whose answer points at what it is about is asked from both ends, in
trained and in held-out wordings of two prompt families like every other.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kb.llm import Item
from kb.prompt import Prompt
from kb.qa_gen.answers import passages_for
from kb.qa_gen.asking import Workbench, room
from kb.qa_gen.facts import verbatim
from kb.qa_gen.filters import check_open_question, gives_away, mentions
from kb.qa_gen.identifying import Stated, choose
from kb.qa_gen.leakage import Wordings
from kb.qa_gen.questions import filtered
from kb.qa_gen.replies import parse_lines
from kb.qa_gen.tagged import parse_reversal
from kb.qa_gen.turned import Forward, answered, apart
from kb.records import KEEP, Fact, Question, Verdict, make_id
from kb.text.canonical import canonical, quantities
from kb.text.terms import count_tokens

WORDINGS = 3
"""Trained wordings asked for."""
PROBES = 2
"""Held-out ones."""
LINE = 48
"""Tokens of a question beside the answer that it gives."""


def make_reversed(
    bench: Workbench, facts: Sequence[Fact], stated: Sequence[Fact], forward: Forward
) -> dict[str, list[Question]]:
    """Reversed questions by fact id, trained ones before held-out ones; none where [generate] reversed is off.

    `stated` are all facts that were found, also those that came to nothing: what they say may have the same answer. A
    fact that is not taught by questions is only probed.
    """
    if not bench.config.reversed:
        return {}
    known = Stated(stated)
    chosen = choose(bench, facts, known, forward.trained)
    turned = _answered(bench, chosen, _turn(bench, chosen, known, forward))
    chosen = [fact for fact in chosen if fact.id in turned]
    probes = _hold_out(bench, chosen, turned, forward)
    taught = {fact.id for fact in chosen if fact.taught == "questions"}
    return {id: [*(some if id in taught else ()), *probes.get(id, ())] for id, some in turned.items()}


def _turn(bench: Workbench, facts: Sequence[Fact], known: Stated, forward: Forward) -> dict[str, list[Question]]:
    """The trained wordings, each with what is asked for as its answer."""

    def item(fact: Fact) -> Item:
        fields = {"fact": fact.statement, "answer": fact.answer, "count": str(WORDINGS)}
        prompt = bench.prompt("reversed", fact.language)
        return bench.item(fact.id, prompt, bench.request(prompt, tokens(fact, WORDINGS), **fields))

    made = []
    results = bench.ask("reversed", map(item, facts), [fact.chunk_id for fact in facts], parse_reversal)
    for fact, result in zip(facts, results, strict=True):
        if result.value is None:
            continue
        subject = verbatim(result.value.subject, fact.statement)
        verdict = _check_subject(subject, fact, known, forward.trained[fact.id])
        if not verdict.keep:
            bench.reject("reversed", fact.id, verdict.reason, f"{fact.statement} | {fact.answer} | {subject}")
            continue
        gate = Gate(subject, forward)
        texts = filtered(bench, "reversed", fact, result.value.questions, gate.check_trained, WORDINGS)
        made.append((fact, reversed_questions(fact, "train", texts, subject, bench.prompt("reversed", fact.language))))
    return apart(bench, "reversed", made, forward.texts)


def _check_subject(subject: str, fact: Fact, known: Stated, wordings: Sequence[Question]) -> Verdict:
    """What the answer is said to belong to must be what the fact is about, and every other fact with that answer."""
    if not subject:
        return Verdict(False, "the model finds nothing to ask for")
    if not mentions(fact.statement, subject):
        return Verdict(False, "reversed answer not in the statement")
    if mentions(subject, fact.answer) or mentions(fact.answer, subject):
        return Verdict(False, "reversed answer is the fact's own")
    if 2 * sum(mentions(question.text, subject) for question in wordings) <= len(wordings):
        return Verdict(False, "reversed answer is not what the fact's questions are about")
    if not all(mentions(twin.statement, subject) for twin in known.twins(fact)):
        return Verdict(False, "another thing has the same answer")
    return KEEP


@dataclass(frozen=True)
class Gate:
    """What a reversed question of a fact must be like."""

    subject: str
    forward: Forward

    def check(self, text: str, fact: Fact) -> Verdict:
        """It stands alone, in the fact's language, gives the fact's answer and not what it asks for."""
        verdict = check_open_question(text, fact.language, f"{fact.statement}\n{fact.evidence}")
        if verdict.keep and not _gives(text, fact):
            return Verdict(False, "question lacks the fact's answer")
        if verdict.keep and mentions(text, self.subject):
            return Verdict(False, "question contains its answer")
        return verdict

    def check_trained(self, text: str, fact: Fact) -> Verdict:
        """It is no held-out wording of a fact that is told the other way round."""
        verdict = self.check(text, fact)
        if verdict.keep and self.forward.is_near(text, self.subject, "probe"):
            return Verdict(False, "close to a held-out wording of another fact")
        return verdict

    def check_held_out(self, text: str, fact: Fact, own: Wordings) -> Verdict:
        """Nor is a held-out one close to a trained one."""
        verdict = self.check(text, fact)
        verdict = own.check(text) if verdict.keep else verdict
        if verdict.keep and self.forward.is_near(text, self.subject, "train"):
            return Verdict(False, "probe too close to a trained wording of another fact")
        return verdict


def _gives(text: str, fact: Fact) -> bool:
    """Whether a question has the fact's answer, its number or date in whatever form."""
    if gives_away(text, fact):
        return True
    said = [quantity.base for quantity in quantities(text)]
    return fact.answer_type in ("number", "money") and any(given.base in said for given in quantities(fact.answer))


def tokens(fact: Fact, count: int) -> int:
    """Token limit for so many questions that give the fact's answer, and a line beside them."""
    return room(256, (count + 1) * (LINE + 2 * count_tokens(fact.answer)))


def reversed_questions(fact: Fact, split: str, texts: Sequence[str], subject: str, prompt: Prompt) -> list[Question]:
    """Reversed questions of a fact with these texts, to which the subject is right."""
    return [
        Question(
            make_id("qst", fact.id, "reversed", split, text), fact.chunk_id, fact.id, "reversed", split, text,
            fact.language, prompt.id, subject,
        )
        for text in texts
    ]  # fmt: skip


def _answered(
    bench: Workbench, facts: Sequence[Fact], turned: Mapping[str, list[Question]]
) -> dict[str, list[Question]]:
    """Those whose first question the model answers right from retrieved passages."""
    asked = [fact for fact in facts if turned.get(fact.id)]
    found = bench.search([turned[fact.id][0].text for fact in asked])
    shown = {fact.id: passages_for(bench, fact, hits) for fact, hits in zip(asked, found, strict=True)}
    return answered(bench, "reversed", asked, turned, shown)


def _hold_out(
    bench: Workbench, facts: Sequence[Fact], turned: Mapping[str, list[Question]], forward: Forward
) -> dict[str, list[Question]]:
    """Held-out wordings, none close to a trained one of its fact, none a trained one of any fact."""

    def item(fact: Fact) -> Item:
        first = turned[fact.id][0]
        fields = {"question": first.text, "given": fact.answer, "answer": first.answer, "fact": fact.statement}
        prompt = bench.prompt("reversed_probes", fact.language)
        return bench.item(fact.id, prompt, bench.request(prompt, tokens(fact, PROBES), count=str(PROBES), **fields))

    made = []
    results = bench.ask("reversed probes", map(item, facts), [fact.chunk_id for fact in facts], parse_lines)
    for fact, result in zip(facts, results, strict=True):
        subject = turned[fact.id][0].answer
        gate, own = Gate(subject, forward), Wordings(tuple(question.text for question in turned[fact.id]))
        check = functools.partial(gate.check_held_out, own=own)
        texts = filtered(bench, "reversed probes", fact, result.value or (), check, PROBES)
        prompt = bench.prompt("reversed_probes", fact.language)
        made.append((fact, reversed_questions(fact, "probe", texts, subject, prompt)))
    trained = {canonical(question.text) for questions in turned.values() for question in questions}
    return apart(bench, "reversed probes", made, forward.texts | trained)
