"""Further reversed questions for facts that a trained model knows from one end alone; held-out ones stay."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence

from kb.llm import Item
from kb.qa_gen.asking import Workbench
from kb.qa_gen.leakage import Wordings
from kb.qa_gen.questions import filtered
from kb.qa_gen.reversal import WORDINGS, Gate, reversed_questions, tokens
from kb.qa_gen.strengthen import SPARE, further
from kb.qa_gen.tagged import Reversal, parse_reversal
from kb.qa_gen.turned import Forward, apart
from kb.records import Fact, Question, Verdict
from kb.text.canonical import canonical

STEP = "more reversed"


def make_more_reversed(
    bench: Workbench,
    facts: Sequence[Fact],
    questions: Sequence[Question],
    forward: Forward,
    times: Mapping[str, int],
) -> list[Question]:
    """Further trained reversed questions of the facts in `times`, which says how many lists each is in.

    `questions` are all of the set. A fact that is not asked backwards has none. A wording goes that is too close to a
    held-out one of its fact, asks for another thing than they do, or is asked already.
    """
    known: dict[str, dict[str, list[Question]]] = defaultdict(lambda: {"train": [], "probe": []})
    for question in questions:
        if question.kind == "reversed":
            known[question.fact_id][question.split].append(question)
    chosen = [fact for fact in facts if known[fact.id]["train"] and further(WORDINGS, times.get(fact.id, 0))]
    made = []
    for fact, replies in _ask(bench, chosen, times).items():
        own = _Own(Gate(known[fact.id]["train"][0].answer, forward), known[fact.id])
        texts = [text for reply in replies for text in own.agreed(bench, fact, reply)]
        kept = filtered(bench, STEP, fact, texts, own.check, further(WORDINGS, times[fact.id]))
        prompt = bench.prompt("reversed", fact.language)
        made.append((fact, reversed_questions(fact, "train", kept, own.gate.subject, prompt)))
    asked = {canonical(question.text) for question in questions}
    return [question for some in apart(bench, STEP, made, asked).values() for question in some]


def _ask(bench: Workbench, facts: Sequence[Fact], times: Mapping[str, int]) -> dict[Fact, list[Reversal]]:
    """What the model writes for each fact, drawn, so that it writes others than before."""
    asked = [
        (fact, part)
        for fact in facts
        for part in range(math.ceil(SPARE * further(WORDINGS, times[fact.id]) / WORDINGS))
    ]

    def item(fact: Fact, part: int) -> Item:
        fields = {"fact": fact.statement, "answer": fact.answer, "count": str(WORDINGS)}
        prompt = bench.prompt("reversed", fact.language)
        drawn = bench.sampled(bench.request(prompt, tokens(fact, WORDINGS), **fields), 1.0, fact.id, STEP, part)
        return bench.item(f"{fact.id}:reversed{part}", prompt, drawn)

    results = bench.ask(STEP, (item(*one) for one in asked), [fact.chunk_id for fact, _ in asked], parse_reversal)
    replies: dict[Fact, list[Reversal]] = {fact: [] for fact in facts}
    for (fact, _), result in zip(asked, results, strict=True):
        replies[fact] += [result.value] if result.value else []
    return replies


class _Own:
    """The reversed questions of one fact, and what a further one must be like beside them."""

    def __init__(self, gate: Gate, known: Mapping[str, Sequence[Question]]) -> None:
        self.gate = gate
        self._trained = [question.text for question in known["train"]]
        self._held_out = [question.text for question in known["probe"]]

    def agreed(self, bench: Workbench, fact: Fact, reply: Reversal) -> Sequence[str]:
        """The questions of a reply that asks for the same thing as those that are there."""
        if canonical(reply.subject) == canonical(self.gate.subject):
            return reply.questions
        bench.reject(STEP, fact.id, "asks for another thing", f"{fact.statement} | {reply.subject}")
        return ()

    def check(self, text: str, fact: Fact) -> Verdict:
        """As trained ones are checked, and no held-out one is too close to it; what passes counts for the next."""
        verdict = self.gate.check_trained(text, fact)
        if verdict.keep and canonical(text) in map(canonical, self._trained):
            return Verdict(False, "asked already")
        own = Wordings((*self._trained, text))
        if verdict.keep and not all(own.check(probe).keep for probe in self._held_out):
            return Verdict(False, "too close to a held-out wording")
        return verdict
