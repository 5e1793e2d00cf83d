"""`kb generate-qa`: chunks to facts, questions, answers, negatives, preference pairs and held-out probes.

Model calls land in the store one by one and are never repeated; what the steps make of them is written at the end of
the run in one transaction, as exactly the set that this configuration gives. An interrupted run, resumed, therefore
ends like an undisturbed one, and until then the store holds the whole result of the run before. What failed is on
record and listed in `failed.jsonl`, and the next run asks it again: with new seeds where the answers were bad.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from kb.errors import UsageError, WorkspaceError
from kb.llm import LLM
from kb.llm.stored import last_call
from kb.llm.tuned import placebo_documents
from kb.prompt import Prompts
from kb.qa_gen.answers import check_answers
from kb.qa_gen.asking import STAGE, Workbench
from kb.qa_gen.config import GenerateConfig
from kb.qa_gen.cross_lingual import make_cross_lingual
from kb.qa_gen.detailed import make_detailed
from kb.qa_gen.export import export
from kb.qa_gen.facts import make_facts
from kb.qa_gen.known import make_known
from kb.qa_gen.made import QASet, keep_unasked
from kb.qa_gen.negatives import make_negatives
from kb.qa_gen.pairs import detailed_pairs, make_pairs, make_preferences, refusal_pairs, reversed_pairs
from kb.qa_gen.questions import make_probes, make_questions
from kb.qa_gen.report import renew
from kb.qa_gen.reversal import make_reversed
from kb.qa_gen.rewrites import make_rewrites
from kb.qa_gen.selection import Choice, select
from kb.qa_gen.strengthen import strengthen
from kb.qa_gen.teaching import leave_to_prose, moved, withhold
from kb.qa_gen.turned import Forward
from kb.qa_gen.yields import SHOWN, DocumentYield, document_yields, share, why_none, worst
from kb.records import Chunk
from kb.retrieval.hybrid import Retriever
from kb.runs import STRENGTHENED, last_weak, strengthened, times_weak
from kb.store import ORIGINALS, Store, histogram
from kb.workspace import Workspace

log = logging.getLogger(__name__)

ENDED = "generate: calls of ended runs"
"""The setting that holds the number of the last call of the last run that came to its end."""


@dataclass(frozen=True)
class GenerateReport:
    """What a run made, dropped and could not do."""

    chunks: int
    chunks_without_facts: int
    facts: int
    training_questions: int
    probes: int
    negatives: int
    pairs: int
    preferences: int
    rewrites: int
    """Texts that tell a chunk in other words."""
    detailed: int
    """Questions, among those for training, whose answers keep a chunk's details."""
    rejected: dict[str, int]
    """Reason to count."""
    notes: dict[str, int]
    """What was mended rather than dropped."""
    failed: dict[str, int]
    """Reason to count of the units of work that failed; a rerun asks them again."""
    calls: int
    """Requests sent to the model in this run."""
    left_out: int = 0
    """Chunks beyond `limit`: nothing of theirs is in the set that was made."""
    share: float = 1.0
    """Of the chunks that say something those that gave a fact."""
    min_yield: float = 0.0
    without: dict[str, int] = field(default_factory=dict)
    """Why the others gave none: reason to count of chunks."""
    documents: list[DocumentYield] = field(default_factory=list)
    reversed: int = 0
    """Of the questions, trained and held out, those that give a fact's answer and ask what it belongs to."""
    cross_lingual: int = 0
    """Of the probes those that are asked in the other language than their document's."""
    text_only: int = 0
    """Facts that texts in other words teach alone."""
    never_taught: int = 0
    """Facts of the placebo documents."""
    placebo: list[str] = field(default_factory=list)
    """Paths of the documents that are probed and never trained."""

    @property
    def complete(self) -> bool:
        """Whether nothing failed and enough chunks gave a fact."""
        return not self.failed and self.share >= self.min_yield

    def lines(self) -> list[str]:
        """What was made, for the terminal."""
        beyond = f"; {self.left_out} chunks left out by the limit" if self.left_out else ""
        kinds = ((self.reversed, "reversed"), (self.cross_lingual, "in the other language"))
        turned = "".join(f"; {count} of all are {kind}" for count, kind in kinds if count)
        return [
            f"{self.facts} facts from {self.chunks} chunks ({self.chunks_without_facts} without a usable fact){beyond}",
            f"{self.training_questions} training questions, {self.probes} held-out probes,"
            f" {self.negatives} questions the documents do not answer{turned}",
            f"{self.pairs} QA pairs, {self.detailed} of them with a detailed answer; {self.rewrites} texts in other"
            f" words, {self.preferences} preference pairs; {self.calls} model calls in this run",
            *self._control_lines(),
            *self._yield_lines(),
        ]

    def _control_lines(self) -> list[str]:
        lines = []
        if self.text_only:
            lines.append(
                f"text only: {self.text_only} facts stand in texts in other words and in no trained question;"
                " for questions about all: [generate] text_only_share = 0"
            )
        if self.placebo:
            count = len(self.placebo)
            named = ", ".join(self.placebo[:SHOWN]) + (", ..." if count > SHOWN else "")
            lines.append(
                f"placebo: {count} document{'s are' if count > 1 else ' is'} probed and never trained, {named}"
                f" ({self.never_taught} facts); for a model that is to know them as well: [generate] placebo_share = 0"
            )
        return lines

    def _yield_lines(self) -> list[str]:
        poorest = worst(self.documents)
        lines = ["least was found in:", *(document.line() for document in poorest)] if poorest else []
        if self.share < self.min_yield:
            lines.append(
                f"too few chunks gave a fact: {self.share:.3f} of them, [generate] min_yield is {self.min_yield}"
            )
            lines += [f"  {count:>6}  {reason}" for reason, count in self.without.items()]
        return lines


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
    may not. Facts that were strengthened once stay so.

    Raises WorkspaceError when there are no chunks, UsageError for a choice that means nothing here.
    """
    store = workspace.store
    every = store.all(Chunk, ORIGINALS)
    chunks = every[: config.limit or None]
    if not chunks:
        raise WorkspaceError("there are no chunks to ask about. Start with: kb ingest PATH")
    selection = select(store, choice, chunks, STAGE)
    weak = _weak(store, choice)
    ended, begun = int(store.setting(ENDED) or 0), last_call(store)
    bench = Workbench(llm, store, prompts, retriever, config, prober, selection=selection, ended=ended)
    made = keep_unasked(bench, _make(bench, chunks, times_weak(weak))).withheld()
    with store.transaction():
        bench.settle()
        made.write(store)
        store.set_setting(STRENGTHENED, json.dumps(weak))
    export(store, workspace.datasets, prompts, bench.failing)
    renew(workspace, bench.meaning)
    calls = last_call(store)
    # Only now is the run over: killed before, it would be gone on with, and not be taken for one that gave items up.
    store.set_setting(ENDED, str(calls))
    return _report(bench, chunks, made, calls - begun, len(every) - len(chunks))


def _weak(store: Store, choice: Choice) -> dict[str, list[str]]:
    """The lists of facts to write more questions for: those of before, and with `strengthen` the last run's.

    Raises UsageError when no run has said what its model never answers right.
    """
    if not choice.strengthen:
        return strengthened(store)
    last = last_weak(store)
    if last is None:
        raise UsageError(
            "--strengthen is for facts that a trained model never answers right, and no run has found any out;"
            ' the dpo stage of kb train does: stages = ["sft", "dpo"] under [train]'
        )
    log.info("strengthen: %d facts that run %s never answers right", len(last.facts), last.run)
    return strengthened(store, last)


def _make(bench: Workbench, chunks: Sequence[Chunk], weak: Mapping[str, int]) -> QASet:
    """All steps, one after the other."""
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
    trained, held_out = moved(trained, facts), moved(held_out, facts)
    rewrites = make_rewrites(bench, facts, chunks)
    bench.tell("rewrites", len(rewrites))
    facts = leave_to_prose(facts, rewrites, bench.config.text_only_share)
    taught = [fact for fact in facts if fact.taught == "questions"]
    forward = Forward(facts, trained, held_out)
    turned = make_reversed(bench, taught, stated, forward)
    bench.tell("reversed", sum(map(len, turned.values())))
    abroad = make_cross_lingual(bench, taught, stated, forward, turned)
    bench.tell("cross-lingual", len(abroad))
    every = (trained, held_out, turned, abroad)
    asked = [question for wordings in every for some in wordings.values() for question in some]
    negatives = make_negatives(bench, facts, asked, trained, chunks)
    bench.tell("negatives", len(negatives))
    detailed = make_detailed(bench, facts, [*asked, *negatives], chunks)
    bench.tell("detailed answers", len(detailed))
    questions = [question for fact in facts for wordings in every for question in wordings.get(fact.id, ())]
    known = make_known(bench, facts, questions)
    bench.tell("knownness", len(known))
    more = strengthen(bench, facts, [*questions, *negatives], weak)
    if more:
        log.info("strengthen: %d further training questions for %d facts", sum(map(len, more.values())), len(more))
    trained = {fact.id: [*trained[fact.id], *more.get(fact.id, ())] for fact in facts}
    return QASet(
        facts,
        [*questions, *(question for some in more.values() for question in some), *negatives, *(q for q, _ in detailed)],
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


def _report(bench: Workbench, chunks: Sequence[Chunk], made: QASet, calls: int, left_out: int) -> GenerateReport:
    giving = {fact.chunk_id for fact in made.facts} | {source.chunk_id for source in made.sources}
    chunks = [chunk for chunk in chunks if chunk.id in giving or chunk.id not in bench.unasked]
    without = [chunk.id for chunk in chunks if chunk.id not in giving]
    splits = Counter("negative" if q.open else q.split for q in made.questions)
    kinds = Counter(question.kind for question in made.questions)
    rows = bench.store.sql("SELECT step, reason, detail FROM rejects WHERE stage = ?", STAGE)
    return GenerateReport(
        chunks=len(chunks),
        chunks_without_facts=len(without),
        facts=len(made.facts),
        training_questions=splits["train"],
        probes=splits["probe"],
        negatives=splits["negative"],
        pairs=len(made.pairs),
        preferences=len(made.preferences),
        rewrites=len(made.rewrites),
        detailed=sum(question.kind == "detailed" for question in made.questions),
        rejected=histogram([(row["step"], f"{row['step']}: {row['reason']}", row["detail"]) for row in rows]),
        notes=dict(bench.notes),
        failed=histogram([(one.item, f"{one.step}: {one.reason}", one.detail) for one in bench.failed()]),
        calls=calls,
        left_out=left_out,
        share=share(len(chunks), len(chunks) - len(without), len(bench.silent.intersection(without))),
        min_yield=bench.config.min_yield,
        without=dict(why_none(bench, without).most_common()),
        documents=document_yields(bench, chunks, made, giving),
        reversed=kinds["reversed"],
        cross_lingual=kinds["cross_lingual"],
        text_only=sum(fact.taught == "text" for fact in made.facts),
        never_taught=sum(fact.taught == "never" for fact in made.facts),
        placebo=list(placebo_documents(bench.store).values()),
    )
