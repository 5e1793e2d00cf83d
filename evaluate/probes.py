"""What is asked: held-out wordings of every fact, questions without an answer, and the rings of forgetting."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from kb.errors import ConfigError, WorkspaceError
from kb.records import Fact, Probe, Question, make_id
from kb.store import Store
from kb.text.canonical import canonical
from kb.text.match import ANSWER_TYPES
from kb.text.right import Right, right_answer
from kb.workspace import read_jsonl

WORLD = Path(__file__).with_name("rings.jsonl")
"""The rings of a model that has none of its own: facts of the world, passages to read, and questions about what there
is not, written for kb and under its licence. Facts that may change, or that good books disagree on, are left out.
"""

RINGS = ("known", "reading", "never")
"""What the base could do before: its own facts, reading of fresh passages, declining what nobody ever told it."""

APART = ("text_only", "placebo", "reversed", "cross_lingual")
"""Kinds of probe that are measured apart: of facts that no question taught, or asked in another way."""

CONTROLS = ("text_only", "placebo")
"""Those of them that mean something of a model only which was trained on the set as it is."""

UNTRAINED = ("held_out", "near_miss", "unanswerable", *APART)
"""Kinds of probe about the documents that must not be among the trained questions."""

NOTHING = Right("", "text")
"""What is right to a question that the documents leave open."""

WORDINGS = {"questions": "held_out", "text": "text_only", "never": "placebo"}
"""What a held-out wording of a fact is, by how the fact is taught."""


def document_probes(store: Store, per_fact: int, limit: int) -> list[Probe]:
    """Probes about the documents: held-out and trained wordings of each fact, held-out negatives, and what is measured
    apart.

    `per_fact` held-out wordings of each kind and one trained one a fact; `limit` facts, 0 for all, drawn by their ids,
    so from all documents and always the same; with a limit only their near misses and no unanswerable questions.
    Raises WorkspaceError when there are no facts.
    """
    facts = store.all(Fact)
    if not facts:
        raise WorkspaceError("there are no facts to probe. Make them with: kb generate-qa")
    wanted = {fact.id: fact for fact in sorted(facts, key=lambda fact: fact.id)[: limit or None]}
    counts: dict[tuple[str, str], int] = {}
    probes = []
    for question in store.all(Question):
        if question.open:
            if question.split == "probe" and (not limit or question.fact_id in wanted):
                cluster = question.fact_id or question.chunk_id
                probes.append(_probe(question.kind, cluster, question, NOTHING))
            continue
        fact = wanted.get(question.fact_id)
        kind = _kind(question, fact) if fact else ""
        if fact is None or not kind:
            continue
        counts[fact.id, kind] = counts.get((fact.id, kind), 0) + 1
        if counts[fact.id, kind] <= (1 if kind == "trained" else per_fact):
            probes.append(_probe(kind, fact.id, question, right_answer(question, fact)))
    return probes


def _kind(question: Question, fact: Fact) -> str:
    """What a question about a fact is asked as; empty: not at all.

    What asks for more than one fact has no one right answer. A fact that no question taught is asked in its held-out
    wordings alone: it would blur what the other kinds show.
    """
    if question.split == "train":
        return "trained" if question.kind == "answerable" else ""
    if question.kind == "answerable":
        return WORDINGS[fact.taught]
    return question.kind if question.kind in APART and fact.taught == "questions" else ""


def _probe(kind: str, cluster: str, question: Question, right: Right) -> Probe:
    # `kb show` finds a question's probes by this id.
    id = make_id("prb", kind, question.id)
    return Probe(
        id, cluster, kind, question.text, right.answer, right.answer_type, question.language, right.aliases
    )  # fmt: skip


def unwatched(probes: Iterable[Probe], watched: Collection[str]) -> list[Probe]:
    """The probes without the held-out wordings of facts by which a training run chose its adapter."""
    return [probe for probe in probes if probe.kind != "held_out" or probe.fact_id not in watched]


def ring_file(setting: str, base: Path | None) -> Path | None:
    """The file with rings of forgetting: named, the model's own or else `WORLD` (`auto`), or none. Raises ConfigError
    when missing.
    """
    if setting == "none":
        return None
    if setting == "auto":
        own = base / "rings.jsonl" if base else None
        return own if own and own.exists() else WORLD
    path = Path(setting).expanduser()
    if not path.is_file():
        raise ConfigError(f"[eval] rings: there is no file {path}; it is auto, none or a JSONL file")
    return path


def rings_said(probes: Sequence[Probe], path: Path | None, base: Path | None) -> str:
    """How many questions the rings are and where they come from, in words: "6 questions of kb", "none" without a file.

    `base` is the folder of the base model, None where it has none.
    """
    if path is None:
        return "none"
    count = sum(probe.kind in RINGS for probe in probes)
    return f"{count} question{'' if count == 1 else 's'} of {_source(path, base)}"


def _source(path: Path, base: Path | None) -> str:
    return "kb" if path == WORLD else "the model" if base and path.parent == base else str(path)


def rings_asked(path: Path, limit: int, trained: bool) -> list[Probe]:
    """The probes of a rings file that an evaluation asks: with a limit at most so many of each ring in each language,
    at even distances, so of every field.

    None of `WORLD` without a trained model, because they tell nothing of the base alone.
    """
    if path == WORLD and not trained:
        return []
    probes = ring_probes(path)
    if not limit:
        return probes
    groups: dict[tuple[str, str], list[Probe]] = {}
    for probe in probes:
        groups.setdefault((probe.kind, probe.language), []).append(probe)
    return [probe for some in groups.values() for probe in some[:: max(1, -(-len(some) // limit))]]


def ring_probes(path: Path) -> list[Probe]:
    """Probes of a rings file: {"ring", "question", "answer", "language"} and optionally type, cluster, passages, and
    aliases, a list of answers that are as good.

    `never` has no answer, the others need one, `reading` also its passages; `type` is one of the answer types, text
    where it is not given. Raises ConfigError naming the line that has another form or asks what an earlier one asked.
    """
    probes: dict[str, Probe] = {}
    for number, row in enumerate(read_jsonl(path), 1):
        probe = _ring_probe(row, f"{path}, line {number}")
        if probe.id in probes:
            raise ConfigError(f"{path}, line {number}: an earlier line asks the same: {probe.question}")
        probes[probe.id] = probe
    return list(probes.values())


def _ring_probe(row: dict[str, object], where: str) -> Probe:
    fields = ("ring", "question", "answer", "language", "type", "cluster", "passages")
    ring, question, gold, language, kind, cluster, passages = (str(row.get(field) or "") for field in fields)
    if ring not in RINGS or not question or language not in ("en", "zh"):
        raise ConfigError(f"{where}: expected ring ({', '.join(RINGS)}), question, answer and language (en, zh)")
    if bool(gold) == (ring == "never") or bool(passages) != (ring == "reading"):
        needs = {"known": "an answer and no passages", "reading": "an answer and passages", "never": "neither"}
        raise ConfigError(f"{where}: a row of ring {ring} has {needs[ring]}")
    if kind and kind not in ANSWER_TYPES:
        raise ConfigError(f"{where}: type {kind!r} is none of {', '.join(ANSWER_TYPES)}")
    id = make_id("prb", ring, question, passages)
    return Probe(id, cluster or id, ring, question, gold, kind or "text", language, _aliases(row, where), passages)


def _aliases(row: dict[str, object], where: str) -> tuple[str, ...]:
    found = row.get("aliases") or []
    if not isinstance(found, list) or not all(isinstance(one, str) and one for one in found):
        raise ConfigError(f"{where}: aliases is a list of answers that are as good as the answer")
    if found and not row.get("answer"):
        raise ConfigError(f"{where}: aliases without an answer")
    return tuple(found)


def leaked(store: Store, probes: Sequence[Probe]) -> list[Probe]:
    """Probes about the documents whose canonical text is a trained question's: there must be none."""
    trained = {canonical(question.text) for question in store.all(Question, "split = 'train'")}
    return [probe for probe in probes if probe.kind in UNTRAINED and canonical(probe.question) in trained]
