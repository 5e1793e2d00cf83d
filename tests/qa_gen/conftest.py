"""Documents of the fictional world in a workspace, and a model that knows the truth about them."""

import itertools
import random
from dataclasses import dataclass

import pytest

from kb.corpora.documents import STYLES, compose
from kb.corpora.world import attributes, make_world
from kb.llm.fake import FakeLLM
from kb.prompt import Prompts
from kb.qa_gen.asking import GenerateConfig, Workbench
from kb.qa_gen.run import run
from kb.records import Chunk, Document, Fact, make_id
from kb.retrieval.bm25 import Bm25
from kb.retrieval.hybrid import RetrievalConfig, Retriever, open_retriever
from kb.text.match import answer_type
from kb.workspace import Workspace

TAGS = {"en": ("QUOTE: ", "FACT: ", "ANSWER: "), "zh": ("原文：", "事实：", "答案：")}
NEAR = {"en": "Zzyzx ", "zh": "假"}
"""Before a name: makes a name that no document has."""


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
    missing: tuple[str, ...]
    """Questions about the same entity that its document does not answer."""


def truths_of(composition):
    """The truth about every fact a document states."""
    stated = {(fact.entity.name, fact.attribute.name) for fact in composition.facts}
    made = []
    for fact in composition.facts:
        entity, attribute = fact.entity, fact.attribute
        missing = [
            entity.ask(other, "a", 3)
            for other in attributes(entity.language, entity.kind)
            if (entity.name, other.name) not in stated
        ]
        made.append(
            Truth(
                entity.language, entity.name, fact.evidence, entity.state(attribute), fact.value,
                tuple(entity.ask(attribute, "a", i) for i in range(6)),
                tuple(entity.ask(attribute, "b", i) for i in range(6)), tuple(missing),
            )
        )  # fmt: skip
    return made


class Oracle:
    """Answers kb's own prompts truthfully, from what stands in the prompt."""

    def __init__(self, truths) -> None:
        self.truths = list(truths)
        self.steps = {}
        for package, names in (
            ("kb.qa_gen", ("facts", "questions", "probes", "near_miss", "unanswerable")), ("kb", ("rag", "rag_full")),
        ):  # fmt: skip
            for name in names:
                for language in ("en", "zh"):
                    self.steps[Prompts().get(package, name, language).system] = (name, language)

    def __call__(self, request) -> str:
        """The script of a FakeLLM."""
        name, language = self.steps[request.messages[0].content]
        return self.answer(name, language, request.messages[-1].content)

    def answer(self, name, language, prompt) -> str:
        """What the step `name` gets."""
        if name == "facts":
            quote, fact, value = TAGS[language]
            said = [t for t in self.truths if t.evidence in prompt and t.name in prompt]
            lines = [f"{quote}{t.evidence}\n{fact}{t.statement}\n{value}{t.answer}" for t in said]
            return "\n".join(lines) or {"en": "NONE", "zh": "无"}[language]
        if name in ("questions", "probes"):
            truth = next(t for t in self.truths if t.statement in prompt)
            return "\n".join(f"- {text}" for text in (truth.trained if name == "questions" else truth.held_out))
        if name == "near_miss":
            truth = next(t for t in self.truths if t.name in prompt)
            return f"- {prompt.replace(truth.name, NEAR[language] + truth.name)}"
        if name == "unanswerable":
            questions = dict.fromkeys(q for t in self.truths if t.name in prompt for q in t.missing)
            return "\n".join(f"- {q}" for q in questions) or "NONE"
        passages, _, question = prompt.rpartition({"en": "\n\nQuestion: ", "zh": "\n\n问题："}[language])
        for truth in self.truths:
            if question in (*truth.trained, *truth.held_out) and truth.evidence in passages:
                return truth.statement if name == "rag_full" else truth.answer
        return {"en": "I don't know.", "zh": "我不知道。"}[language]


def compositions(per_kind=1, seed="qa"):
    """Documents about two entities each, in both languages and all styles."""
    for language in ("en", "zh"):
        rng = random.Random(f"{seed} {language}")
        entities = make_world(seed, language, per_kind)
        for number in range(0, len(entities), 2):
            yield compose(rng, entities[number : number + 2], 5, STYLES[number // 2 % len(STYLES)])


def records_of(composition):
    """The document and its chunks, one for each section, as ingestion makes them."""
    texts = [section.text() for section in composition.sections]
    text = "\n\n".join(texts)
    lineage = make_id("doc", composition.title, composition.sections[-1].heading)
    id = make_id("doc", text)
    document = Document(id, f"/{id}.txt", id, "txt", composition.title, composition.language, text, (), lineage)
    chunks, start = [], 0
    for ordinal, (section, part) in enumerate(zip(composition.sections, texts, strict=True)):
        header = f"{composition.title} > {section.heading}"
        chunk_id = make_id("chk", lineage, header, part)
        end = start + len(part)
        chunks.append(Chunk(chunk_id, id, ordinal, part, header, composition.language, start, end))
        start = end + 2
    return document, chunks


class World:
    """A workspace with documents of the world, and what is true of them."""

    def __init__(self, root, documents) -> None:
        self.workspace = Workspace(root, create=True)
        self.truths = []
        for composition in documents:
            self.add(composition)
        self.oracle = Oracle(self.truths)

    def add(self, composition) -> str:
        """Store a document; returns its id."""
        document, chunks = records_of(composition)
        self.workspace.store.put([document], replace=True, retired=0)
        self.workspace.store.put(chunks, replace=True)
        self.truths += truths_of(composition)
        self.oracle = Oracle(self.truths)
        return document.id

    def llm(self, script=None) -> FakeLLM:
        """A model that answers by the oracle, or by a script."""
        return FakeLLM(script or self.oracle, "oracle")

    def retriever(self):
        """BM25 alone."""
        return open_retriever(self.workspace, RetrievalConfig(embedder="none"))

    def generate(self, llm=None, **settings):
        """`kb generate-qa`."""
        return run(
            self.workspace, GenerateConfig(**settings), llm or self.llm(), Prompts(), self.retriever(),
        )  # fmt: skip

    def tables(self) -> dict[str, list[tuple]]:
        """All rows that a run makes, in order, without what names the moment they were made."""
        return {
            table: [tuple(row) for row in self.workspace.store.sql(f"SELECT * FROM {table} ORDER BY rowid")]
            for table in ("facts", "questions", "qa_pairs", "preference_pairs", "rejects")
        }


@pytest.fixture
def make_world_in(tmp_path):
    """A function from a name, and documents or how many entities of a kind, to a `World`."""

    def make(name="world", documents=None, per_kind=1):
        return World(tmp_path / name, compositions(per_kind) if documents is None else documents)

    return make


def two_documents():
    """An English and a Chinese one."""
    first, *_, last = compositions()
    return [first, last]


@pytest.fixture(scope="session")
def calm(tmp_path_factory):
    """Two documents of which everything was made, undisturbed: to compare with, not to be written to."""
    world = World(tmp_path_factory.mktemp("calm") / "world", two_documents())
    world.report = world.generate()
    return world


@pytest.fixture
def world(make_world_in):
    """The documents of `calm`, of which nothing has been made."""
    return make_world_in(documents=two_documents())


@pytest.fixture
def make_fact():
    """A function that makes a fact of a statement, its answer and the evidence."""

    def make(statement, answer, evidence="", language="en", chunk_id="chk_1"):
        evidence = evidence or statement
        id = make_id("fct", chunk_id, statement, answer)
        return Fact(id, chunk_id, statement, answer, answer_type(answer), evidence, 0, len(evidence), language)

    return make


@pytest.fixture
def make_chunk():
    """A function that makes a chunk of its text."""

    def make(text, language="en", header="Handbook > Products", number=1, start=0):
        return Chunk(f"chk_{number}", "doc_1", number, text, header, language, start, start + len(text))

    return make


@pytest.fixture
def make_bench(tmp_path):
    """A function from a scripted model and chunks to a workbench; each has a store of its own, so nothing is known."""
    numbers = itertools.count()

    def make(script, chunks=(), **settings):
        store = Workspace(tmp_path / f"bench{next(numbers)}", create=True).store
        store.put([Document("doc_1", "/d", "s", "txt", "Handbook", "en", "", (), "doc_1")], replace=True, retired=0)
        store.put(chunks, replace=True)
        retriever = Retriever(
            tuple(chunks), RetrievalConfig(), Bm25([f"{c.header}\n{c.text}" for c in chunks]), None, None, frozenset()
        )
        return Workbench(FakeLLM(script), store, Prompts(), retriever, GenerateConfig(**settings))

    return make
