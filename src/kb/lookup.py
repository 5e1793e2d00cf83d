"""Any id, followed both ways along the thread: document, chunk, fact, questions, pairs, probes, scores, runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

from kb.errors import UsageError
from kb.records import (
    Chunk,
    Document,
    Fact,
    FactSource,
    Knownness,
    PreferencePair,
    Probe,
    QAPair,
    Question,
    Rewrite,
    make_id,
)
from kb.runs import all_runs, evaluated_run, evaluations
from kb.store import MODEL_NAME, SECTIONS, Store

CONTEXT = 80
"""Characters shown on each side of a span."""
LISTED = 5
"""Ids that the error for an ambiguous beginning lists."""
TAUGHT = {
    "questions": "questions",
    "text": "text: stands in texts in other words, and no trained question asks for it",
    "never": "never: of a placebo document, which is probed and not trained",
}
PROBED = {
    "held_out": "held-out wordings",
    "text_only": "held-out wordings",
    "placebo": "held-out wordings",
    "reversed": "reversed questions",
    "cross_lingual": "questions in the other language",
}
"""Kinds of probe that count as knowing a fact, and what they are called."""


@dataclass(frozen=True)
class Link:
    """A neighbour on the thread; its id can be looked up in turn."""

    id: str
    kind: str
    text: str


@dataclass(frozen=True)
class Found:
    """A record, where it stands in its document, what it came from and what came of it."""

    id: str
    kind: str
    record: Any
    place: str = ""
    """Heading path and page; empty where there is no span."""
    before: str = ""
    """Up to `CONTEXT` characters before the span."""
    span: str = ""
    """The evidence, or the chunk's text; empty where there is none."""
    after: str = ""
    up: tuple[Link, ...] = ()
    """What it came from, nearest last."""
    down: tuple[Link, ...] = ()
    """What came of it."""
    retired: bool = False
    """Whether its document is gone or was replaced by a newer version, so that no command uses it any more."""

    def lines(self, mark: tuple[str, str]) -> list[str]:
        """For the terminal; `mark` is put around the span."""
        gone = "  (retired: its document is gone or has a newer version)" if self.retired else ""
        lines = [f"{self.kind} {self.id}{gone}"]
        for name, value in _fields(self.record).items():
            empty = value in ("", (), self.id) or (name == "page" and not value)
            if not empty and not (name == "text" and self.kind in ("document", "chunk", "passage")):
                lines += _indented(f"{name}: {TAUGHT[value] if name == 'taught' else _words(value)}")
        if self.span:
            head = "..." if len(self.before) == CONTEXT else ""
            tail = "..." if len(self.after) == CONTEXT else ""
            text = f"{head}{self.before}{mark[0]}{self.span}{mark[1]}{self.after}{tail}"
            lines += [f"in {self.place}:", *_indented(text)]
        for title, links in (("from", self.up), ("to", self.down)):
            width = max((len(link.kind) for link in links), default=0)
            lines += [f"{title:<4}  {link.kind:<{width}}  {link.id}  {' '.join(link.text.split())}" for link in links]
        return [line.rstrip() for line in lines]


def _fields(record: Any) -> dict[str, Any]:
    return {field.name: getattr(record, field.name) for field in fields(record)}


def _words(value: Any) -> str:
    """A field's value as people read it."""
    if isinstance(value, tuple):
        return "; ".join(map(str, value))
    inner = value if isinstance(value, Mapping) else _fields(value) if is_dataclass(value) else None
    return str(value) if inner is None else ", ".join(f"{key}={_words(one)}" for key, one in inner.items())


def _indented(text: str) -> list[str]:
    return [f"  {line}" for line in text.splitlines() if line.strip()]


def look_up(store: Store, id: str) -> Found:
    """The record with this id or unambiguous beginning of one, or the run or evaluation of this name.

    Raises UsageError when there is none, or several.
    """
    kinds: dict[str, tuple[type, Callable[[Store, Any], Found]]] = {
        "doc": (Document, _document), "chk": (Chunk, _chunk), "fct": (Fact, _fact), "qst": (Question, _question),
        "pair": (QAPair, _pair), "pref": (PreferencePair, _pair), "prb": (Probe, _probe),
        "rew": (Rewrite, _rewrite),
    }  # fmt: skip
    named = _run(store, id) or _evaluation(store, id) or _reject(store, id)
    if named:
        return named
    prefix, stroke, _ = id.partition("_")
    if prefix not in kinds or not stroke:
        raise UsageError(
            f"{id}: no run or evaluation has this name, and an id begins with {', '.join(f'{kind}_' for kind in kinds)}"
        )
    kind, show = kinds[prefix]
    records: list[Any] = store.all(kind, "id >= ? AND id < ?", id, id + "~", live=False)
    unique = {record.id: record for record in records}
    if not unique:
        raise UsageError(f"{id}: no such record in this workspace")
    if len(unique) > 1 and id not in unique:
        listed = ", ".join(sorted(unique)[:LISTED]) + (", ..." if len(unique) > LISTED else "")
        raise UsageError(f"{id}: {len(unique)} ids begin like this: {listed}")
    return show(store, unique.get(id) or next(iter(unique.values())))


def _document(store: Store, document: Document) -> Found:
    chunks = store.all(Chunk, f"document_id = ? AND {SECTIONS}", document.id, live=False)
    down = tuple(Link(chunk.id, "chunk", chunk.header) for chunk in chunks)
    return Found(document.id, "document", document, down=down, retired=_retired(store, document.id))


def _chunk(store: Store, chunk: Chunk) -> Found:
    if chunk.section:
        return _passage(store, chunk)
    links = [Link(fact.id, "fact", fact.statement) for fact in store.all(Fact, "chunk_id = ?", chunk.id, live=False)]
    links += [
        Link(source.fact_id, "fact of another place", source.evidence)
        for source in store.all(FactSource, "chunk_id = ?", chunk.id, live=False)
    ]
    links += [
        Link(question.id, _called(question), question.text)
        for question in store.all(Question, "chunk_id = ? AND fact_id = ''", chunk.id, live=False)
    ]
    passages = store.all(Chunk, "section = ?", chunk.id, live=False)
    links += [Link(passage.id, "passage", passage.text[:CONTEXT]) for passage in passages]
    texts = store.all(Rewrite, "chunk_id = ?", chunk.id, live=False)
    links += [Link(text.id, f"in other words ({text.style})", text.text) for text in texts]
    links += _copies(store, "chunk_id", "kept", chunk.id, "the same, also in")
    found = _placed(store, chunk, "chunk", chunk, None, (*links, *_dropped(store, chunk.id)))
    for original in _copies(store, "kept", "chunk_id", chunk.id, "chunk that says the same"):
        found = _below(found, original)
    return found


def _copies(store: Store, wanted: str, given: str, id: str, kind: str) -> list[Link]:
    """The live copies of a chunk, or what it is a copy of."""
    rows = store.sql(
        f"SELECT c.id, c.header, d.path FROM copies o JOIN chunks c ON c.id = o.{wanted}"
        f" JOIN documents d ON d.id = c.document_id WHERE o.{given} = ? ORDER BY c.rowid", id
    )  # fmt: skip
    return [Link(row["id"], kind, f"{row['path']}: {row['header']}") for row in rows]


def _passage(store: Store, passage: Chunk) -> Found:
    inside = 'chunk_id = ? AND start < ? AND "end" > ?'
    facts = store.all(Fact, inside, passage.section, passage.end, passage.start, live=False)
    links = tuple(Link(fact.id, "fact", fact.statement) for fact in facts)
    found = _placed(store, passage, "passage", passage, None, links)
    section = store.get(Chunk, passage.section)
    return _below(found, Link(section.id, "chunk", section.header)) if section else found


def _fact(store: Store, fact: Fact) -> Found:
    links = [
        Link(question.id, _called(question), question.text)
        for question in store.all(Question, "fact_id = ?", fact.id, live=False)
    ]
    links += [
        Link(pair.id, "preference pair", f"{pair.chosen} > {pair.rejected}")
        for pair in store.all(PreferencePair, "fact_id = ?", fact.id, live=False)
    ]
    links += [
        Link(source.chunk_id, "stated also in", source.evidence)
        for source in store.all(FactSource, "fact_id = ?", fact.id)
    ]
    links += [*_known(store, fact.id), *_dropped(store, fact.id), *_diagnosed(store, fact)]
    for row in store.sql(
        "SELECT s.eval, s.arm, p.kind, SUM(s.verdict = 'correct') AS fine, COUNT(*) AS n FROM probes p JOIN scores s"
        f" ON s.eval = p.eval AND s.probe_id = p.id WHERE p.fact_id = ? AND p.kind IN ({_marks(PROBED)})"
        " GROUP BY s.eval, s.arm, p.kind ORDER BY MIN(s.rowid)",
        fact.id, *PROBED,
    ):  # fmt: skip
        links.append(
            Link(row["eval"], f"score of {row['arm']}", f"{row['fine']} of {row['n']} {PROBED[row['kind']]} right")
        )
    return _placed(store, store.get(Chunk, fact.chunk_id), "fact", fact, fact, tuple(links))


def _diagnosed(store: Store, fact: Fact) -> Iterable[Link]:
    """What evaluations found of a fact and, where something is to be done, the rows that should have taught it."""
    wanting = False
    for row in store.sql("SELECT eval, findings FROM diagnoses WHERE fact_id = ? ORDER BY rowid", fact.id):
        found = json.loads(row["findings"])
        wanting = wanting or found != ["learnt"]
        if found:
            yield Link(row["eval"], "finding", ", ".join(found).replace("_", " "))
    if wanting:
        for pair in store.all(QAPair, "fact_id = ?", fact.id, live=False):
            yield Link(pair.id, f"trained row ({pair.form})", f"{pair.question} > {pair.answer}")
        for text in store.all(Rewrite, "chunk_id = ?", fact.chunk_id, live=False):
            yield Link(text.id, f"trained text ({text.style})", text.text)


def _known(store: Store, fact_id: str) -> Iterable[Link]:
    """How well each model that was asked knew the fact before it was trained."""
    for one in store.all(Knownness, "fact_id = ?", fact_id, live=False):
        model = store.setting(MODEL_NAME + one.model) or one.model
        said = f"{one.level}: {one.correct} of {one.samples} closed-book answers of {model} right"
        yield Link(fact_id, "before training", said)


def _question(store: Store, question: Question) -> Found:
    fact = store.get(Fact, question.fact_id) if question.fact_id else None
    links = [
        Link(pair.id, f"QA pair ({pair.form})", pair.answer)
        for pair in store.all(QAPair, "question_id = ?", question.id, live=False)
    ]
    links += [
        Link(pair.id, "preference pair", f"{pair.chosen} > {pair.rejected}")
        for pair in store.all(PreferencePair, "question_id = ?", question.id, live=False)
    ]
    probes = _probes_of(question)
    links += [*_answers(store, f"probe_id IN ({_marks(probes)})", *probes), *_dropped(store, question.id)]
    found = _placed(store, store.get(Chunk, question.chunk_id), "question", question, fact, tuple(links))
    return _below(found, Link(fact.id, "fact", fact.statement)) if fact else found


def _called(question: Question) -> str:
    kind = "" if question.kind == "answerable" else f" ({question.kind})"
    return f"{question.split} question{kind}"


def _probes_of(question: Question) -> list[str]:
    """The ids that probes of this question have, as `kb.evaluate.probes` makes them."""
    wordings = ("held_out", "trained", "text_only", "placebo")
    kinds = wordings if question.kind == "answerable" else (question.kind,)
    return [make_id("prb", kind, question.id) for kind in kinds]


def _marks(values: Collection[str]) -> str:
    """As many marks for values as SQL needs."""
    return ", ".join("?" * len(values))


def _pair(store: Store, pair: QAPair | PreferencePair) -> Found:
    kind = "QA pair" if isinstance(pair, QAPair) else "preference pair"
    question = store.get(Question, pair.question_id)
    if question is None:
        return Found(pair.id, kind, pair)
    link = Link(question.id, "question", question.text)
    return _below(_question(store, question), link, id=pair.id, kind=kind, record=pair, down=())


def _rewrite(store: Store, text: Rewrite) -> Found:
    return _placed(store, store.get(Chunk, text.chunk_id), "text in other words", text, None, ())


def _probe(store: Store, probe: Probe) -> Found:
    down = tuple(_answers(store, "probe_id = ?", probe.id, by_probe=True))
    candidates = store.all(Question, "text = ?", probe.question, live=False)
    question = next((one for one in candidates if probe.id in _probes_of(one)), None)
    if question is None:
        return Found(probe.id, "probe", probe, down=down)
    link = Link(question.id, "question", question.text)
    return _below(_question(store, question), link, id=probe.id, kind="probe", record=probe, down=down)


def _run(store: Store, name: str) -> Found | None:
    run = next((run for run in all_runs(store) if run.name == name), None)
    if run is None:
        return None
    links = []
    for evaluation in evaluations(store, name):
        answers = store.sql("SELECT COUNT(*) FROM scores WHERE eval = ?", evaluation)[0][0]
        links.append(Link(evaluation, "evaluation", f"{answers} answers"))
    read = set(run.lineage.files.values())
    documents = [one for one in store.all(Document, live=False) if one.sha256 in read]
    up = tuple(Link(document.id, "document", document.path) for document in documents)
    return Found(name, "run", replace(run, lineage=replace(run.lineage, files={})), up=up, down=tuple(links))


@dataclass(frozen=True)
class Evaluation:
    """What the store holds of an evaluation."""

    probes: int
    arms: tuple[str, ...]
    """What became of each arm's answers, in words."""


def _evaluation(store: Store, name: str) -> Found | None:
    probes = int(store.sql("SELECT COUNT(*) FROM probes WHERE eval = ?", name)[0][0])
    if not probes:
        return None
    rows = store.sql(
        "SELECT arm, COUNT(*) AS n, SUM(verdict = 'correct') AS fine, SUM(verdict = 'unparsed') AS lost FROM scores"
        " WHERE eval = ? GROUP BY arm ORDER BY MIN(rowid)",
        name,
    )
    up = tuple(
        Link(run.name, "run", f"{run.lineage.facts} facts, {run.at}")
        for run in all_runs(store) if run.name == evaluated_run(name)
    )  # fmt: skip
    arms = tuple(f"{row['arm']} {row['fine']} of {row['n']} right, {row['lost']} unparsed" for row in rows)
    return Found(name, "evaluation", Evaluation(probes, arms), up=up)


@dataclass(frozen=True)
class Reject:
    """Something that was made and not kept."""

    stage: str
    step: str
    item: str
    """Id of what it was made of."""
    reason: str
    detail: str


def _reject(store: Store, id: str) -> Found | None:
    rows = store.sql("SELECT * FROM rejects WHERE id = ?", id)
    if not rows:
        return None
    row = rows[0]
    reject = Reject(row["stage"], row["step"], row["item"], row["reason"], row["detail"])
    return Found(id, "reject", reject, up=(Link(reject.item, "item", ""),))


def _answers(store: Store, where: str, *ids: str, by_probe: bool = False) -> Iterable[Link]:
    """What the arms answered; named by the probe, or by the evaluation."""
    for row in store.sql(f"SELECT * FROM scores WHERE {where} ORDER BY rowid", *ids):
        verdict = f"{row['verdict']} ({row['rule']}): {row['answer']}"
        where_asked = "" if by_probe else f" in {row['eval']}"
        yield Link(row["eval"] if by_probe else row["probe_id"], f"answer of {row['arm']}{where_asked}", verdict)


def _dropped(store: Store, item: str) -> list[Link]:
    """What was made of this record and not kept, and what could not be made, with the reason."""
    rows = store.sql("SELECT * FROM rejects WHERE item = ? ORDER BY rowid", item)
    links = [Link(row["id"], f"dropped ({row['step']})", f"{row['reason']}: {row['detail']}") for row in rows]
    rows = store.sql("SELECT * FROM failures WHERE item = ? ORDER BY rowid", item)
    return links + [Link(item, f"failed ({row['stage']})", f"{row['reason']}: {row['detail']}") for row in rows]


def _retired(store: Store, document_id: str) -> bool:
    rows = store.sql("SELECT retired FROM documents WHERE id = ?", document_id)
    return bool(rows and rows[0]["retired"])


def _below(found: Found, link: Link, **changes: Any) -> Found:
    """A record at the place of `found`, from which `link` leads to it."""
    return replace(found, up=(*found.up, link), **changes)


def _placed(
    store: Store, chunk: Chunk | None, kind: str, record: Any, fact: Fact | None, down: tuple[Link, ...]
) -> Found:
    """A record at the evidence of its fact, or at its chunk."""
    document = store.get(Document, chunk.document_id) if chunk else None
    if chunk is None or document is None:
        return Found(record.id, kind, record, down=down)
    start, end = (fact.start, fact.end) if fact else (chunk.start, chunk.end)
    text = document.text
    page = f", page {chunk.page}" if chunk.page else ""
    up = [Link(document.id, "document", document.path)]
    up += [Link(chunk.id, "chunk", chunk.header)] if record is not chunk else []
    return Found(
        record.id, kind, record, f"{chunk.header}{page}", text[max(0, start - CONTEXT) : start], text[start:end],
        text[end : end + CONTEXT], tuple(up), down, _retired(store, document.id),
    )  # fmt: skip
