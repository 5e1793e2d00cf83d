"""`kb generate-qa`: chunks to facts, questions, answers, negatives, preference pairs and held-out probes.

Model calls land in the store one by one and are never repeated; what the steps make of them is written at the end of
the run in one transaction, as exactly the set that this configuration gives. An interrupted run, resumed, therefore
ends like an undisturbed one, and until then the store holds the whole result of the run before. What failed is on
record and listed in `failed.jsonl`, and the next run asks it again: with new seeds where the answers were bad.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

from kb.errors import WorkspaceError
from kb.llm import LLM
from kb.llm.stored import last_call
from kb.prompt import Prompts
from kb.qa_gen.answers import check_answers
from kb.qa_gen.asking import STAGE, Workbench
from kb.qa_gen.config import GenerateConfig
from kb.qa_gen.contrast import make_contrast
from kb.qa_gen.cross_lingual import make_cross_lingual
from kb.qa_gen.detailed import make_detailed
from kb.qa_gen.export import export
from kb.qa_gen.facts import make_facts
from kb.qa_gen.known import make_known
from kb.qa_gen.made import QASet, keep_unasked
from kb.qa_gen.more_reversed import make_more_reversed
from kb.qa_gen.negatives import make_negatives
from kb.qa_gen.outcome import GenerateReport, report
from kb.qa_gen.pairs import detailed_pairs, make_pairs, make_preferences, refusal_pairs, reversed_pairs
from kb.qa_gen.questions import make_probes, make_questions
from kb.qa_gen.remedies import Remedies, prescribe
from kb.qa_gen.report import renew
from kb.qa_gen.reversal import make_reversed
from kb.qa_gen.rewrites import make_rewrites
from kb.qa_gen.selection import Choice, select
from kb.qa_gen.strengthen import strengthen
from kb.qa_gen.teaching import leave_to_prose, moved, withhold
from kb.qa_gen.turned import Forward
from kb.records import Chunk, Fact, Question
from kb.retrieval.hybrid import Retriever
from kb.store import ORIGINALS
from kb.workspace import Workspace

log = logging.getLogger(__name__)

ENDED = "generate: calls of ended runs"
"""The setting that holds the number of the last call of the last run that came to its end."""


def run(
    workspace: Workspace,
    config: GenerateConfig,
    llm: LLM,
    prompts: Prompts,
    retriever: Retriever,
    choice: Choice = Choice(),  # noqa: B008
    prober: LLM | None = None,
) -> GenerateReport:
    """Make everything that is missing, or what is chosen of it, write the exports, and report.

    The held-out wordings are written by the `prober`, where there is one: what one model finds natural to ask, another
    may not. Facts that more was written for once stay so.

    Raises WorkspaceError when there are no chunks, UsageError for a choice that means nothing here.
    """
    store = workspace.store
    every = store.all(Chunk, ORIGINALS)
    chunks = every[: config.limit or None]
    if not chunks:
        raise WorkspaceError("there are no chunks to ask about. Start with: kb ingest PATH")
    selection = select(store, choice, chunks, STAGE)
    remedies = prescribe(store, choice)
    ended, begun = int(store.setting(ENDED) or 0), last_call(store)
    bench = Workbench(llm, store, prompts, retriever, config, prober, selection=selection, ended=ended)
    made = keep_unasked(bench, _make(bench, chunks, remedies)).withheld()
    with store.transaction():
        bench.settle()
        made.write(store)
        remedies.write(store)
    export(store, workspace.datasets, prompts, bench.failing)
    renew(workspace, bench.meaning)
    calls = last_call(store)
    # Only now is the run over: killed before, it would be gone on with, and not be taken for one that gave items up.
    store.set_setting(ENDED, str(calls))
    done = report(bench, chunks, made, calls - begun, len(every) - len(chunks))
    return replace(done, uncured=remedies.uncured)


@dataclass(frozen=True)
class _Agreed:
    """Facts that the model answers right from the documents, with enough wordings on both sides."""

    facts: list[Fact]
    stated: list[Fact]
    """All facts that were found, also those that came to nothing."""
    trained: dict[str, list[Question]]
    held_out: dict[str, list[Question]]
    """Both by fact id."""


def _agree(bench: Workbench, chunks: Sequence[Chunk]) -> _Agreed:
    """The first steps: from chunks to facts and the wordings of their questions, and how each fact is to be taught."""
    facts = stated = make_facts(bench, chunks)
    bench.tell("facts", len(facts))
    trained = make_questions(bench, facts)
    facts = [fact for fact in facts if fact.id in trained]
    bench.tell("questions", len(facts))
    facts = check_answers(bench, facts, trained)
    bench.tell("answers", len(facts))
    held_out = make_probes(bench, facts, trained)
    facts = [fact for fact in facts if fact.id in held_out]
    bench.tell("probes", len(facts))
    facts = withhold(bench, facts)
    return _Agreed(facts, stated, moved(trained, facts), moved(held_out, facts))


def _make(bench: Workbench, chunks: Sequence[Chunk], remedies: Remedies) -> QASet:
    """All steps, one after the other."""
    agreed = _agree(bench, chunks)
    trained, held_out = agreed.trained, agreed.held_out
    rewrites = make_rewrites(bench, agreed.facts, chunks)
    bench.tell("rewrites", len(rewrites))
    facts = leave_to_prose(agreed.facts, rewrites, bench.config.text_only_share)
    taught = [fact for fact in facts if fact.taught == "questions"]
    forward = Forward(facts, trained, held_out)
    turned = make_reversed(bench, taught, agreed.stated, forward)
    bench.tell("reversed", sum(map(len, turned.values())))
    abroad = make_cross_lingual(bench, taught, agreed.stated, forward, turned)
    bench.tell("cross-lingual", len(abroad))
    every = (trained, held_out, turned, abroad)
    questions = [question for fact in facts for wordings in every for question in wordings.get(fact.id, ())]
    negatives = make_negatives(bench, facts, questions, trained, chunks)
    bench.tell("negatives", len(negatives))
    detailed = make_detailed(bench, facts, [*questions, *negatives], chunks)
    bench.tell("detailed answers", len(detailed))
    known = make_known(bench, facts, questions)
    bench.tell("knownness", len(known))
    further = _remedy(bench, facts, [*questions, *negatives], forward, remedies)
    trained = {fact.id: [*trained[fact.id], *further.trained.get(fact.id, ())] for fact in facts}
    negatives = [*negatives, *further.contrast]
    questions += further.reversed
    more = [question for some in further.trained.values() for question in some]
    return QASet(
        facts,
        [*questions, *more, *negatives, *(question for question, _ in detailed)],
        [
            *make_pairs(bench, taught, trained),
            *reversed_pairs(questions),
            *refusal_pairs(bench, negatives),
            *detailed_pairs(detailed),
        ],
        make_preferences(bench, taught, trained, negatives),
        bench.sources_of(facts),
        rewrites,
        known,
    )


@dataclass(frozen=True)
class _Further:
    """What is written for facts that a trained model did not learn."""

    trained: dict[str, list[Question]]
    """Wordings by fact id."""
    reversed: list[Question]
    contrast: list[Question]
    """Near misses."""


def _remedy(
    bench: Workbench, facts: Sequence[Fact], questions: Sequence[Question], forward: Forward, remedies: Remedies
) -> _Further:
    """The further questions for these facts, all of them trained; `questions` are those of the set."""
    trained = strengthen(bench, facts, questions, remedies.times("wordings"))
    taught = [fact for fact in facts if fact.taught == "questions"]
    every = [*questions, *(question for some in trained.values() for question in some)]
    turned = make_more_reversed(bench, taught, every, forward, remedies.times("reversed"))
    contrast = make_contrast(bench, taught, [*every, *turned], remedies.times("contrast"))
    kinds = ((every[len(questions) :], "training questions"), (turned, "reversed questions"), (contrast, "near misses"))
    for some, kind in kinds:
        if some:
            log.info("further %s: %d for %d facts", kind, len(some), len({question.fact_id for question in some}))
    return _Further(trained, turned, contrast)
