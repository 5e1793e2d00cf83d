"""Documents of the fictional world in a workspace, and a model that knows the truth about them."""

import itertools
import random
import re
import zlib
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from kb.corpora.documents import STYLES, compose
from kb.corpora.oracle import OTHER, Oracle, Truth
from kb.corpora.world import ask_in, attributes, make_world
from kb.llm.fake import FakeLLM
from kb.prompt import Prompts
from kb.qa_gen.asking import GenerateConfig, Workbench
from kb.qa_gen.run import run
from kb.qa_gen.selection import Choice
from kb.records import Chunk, Document, Fact, PreferencePair, QAPair, Question, make_id
from kb.retrieval.bm25 import Bm25
from kb.retrieval.dense import Embedder
from kb.retrieval.hybrid import RetrievalConfig, Retriever, open_retriever
from kb.text.match import answer_type
from kb.text.terms import EMPTY
from kb.workspace import Workspace


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
                ask_in(OTHER[entity.language], attribute.name, entity.name),
            )
        )  # fmt: skip
    return made


def compositions(per_kind=1, seed="qa", languages=("en", "zh")):
    """Documents about two entities each, in both languages and all styles."""
    for language in languages:
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
        self.compositions = []
        self.embedder = None
        for composition in documents:
            self.add(composition)
        self.oracle = Oracle(self.truths)

    def add(self, composition) -> str:
        """Store a document; returns its id."""
        document, chunks = records_of(composition)
        self.compositions.append(composition)
        self.workspace.store.put([document], replace=True, retired=0)
        self.workspace.store.put(chunks, replace=True)
        self.truths += truths_of(composition)
        self.oracle = Oracle(self.truths)
        return document.id

    def llm(self, script=None) -> FakeLLM:
        """A model that answers by the oracle, or by a script."""
        return FakeLLM(script or self.oracle, "oracle")

    def retriever(self):
        """BM25 alone; `embedder` compares wordings and searches nothing."""
        return replace(open_retriever(self.workspace, RetrievalConfig(embedder="none")), embedder=self.embedder)

    def generate(self, llm=None, choice=None, prober=None, **settings):
        """`kb generate-qa` with all kinds of questions and no texts; the `prober` writes the held-out questions."""
        off = {"rewrites": 0, "known_samples": 0, "detailed": 0}
        config = GenerateConfig(**(off | {"cross_lingual": True} | settings))
        return run(self.workspace, config, llm or self.llm(), Prompts(), self.retriever(), choice or Choice(), prober)

    def tables(self) -> dict[str, list[tuple]]:
        """All rows that a run makes, in order, without what names the moment they were made."""
        return {
            table: [tuple(row) for row in self.workspace.store.sql(f"SELECT * FROM {table} ORDER BY rowid")]
            for table in ("facts", "questions", "qa_pairs", "preference_pairs", "rejects")
        }


@pytest.fixture
def make_world_in(tmp_path):
    """A function from a name, and documents or how many entities of a kind, to a `World`."""

    def make(name="world", documents=None, per_kind=1, languages=("en", "zh")):
        made = compositions(per_kind, languages=languages)
        return World(tmp_path / name, made if documents is None else documents)

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


@pytest.fixture(scope="session")
def twenty(tmp_path_factory):
    """Twenty documents of which two are placebo, with texts in other words and every near miss: not to be changed."""
    world = World(tmp_path_factory.mktemp("twenty") / "world", compositions(5))
    world.settings = {"rewrites": 1, "near_miss_share": 1.0, "placebo_share": 0.1, "text_only_share": 0.3}
    world.report = world.generate(**world.settings)
    return world


@pytest.fixture
def world(make_world_in):
    """The documents of `calm`, of which nothing has been made."""
    return make_world_in(documents=two_documents())


@pytest.fixture
def other_document():
    """A document of another world, about entities that the others do not name."""
    return next(compositions(seed="other"))


@pytest.fixture
def make_fact():
    """A function that makes a fact of a statement, its answer and the evidence."""

    def make(statement, answer, evidence="", language="en", chunk_id="chk_1"):
        evidence = evidence or statement
        id = make_id("fct", chunk_id, statement, answer)
        return Fact(id, chunk_id, statement, answer, answer_type(answer), evidence, 0, len(evidence), language)

    return make


@pytest.fixture
def wordings_of():
    """A function from a fact and texts to its questions, trained ones by default."""

    def make(fact, texts, split="train"):
        return [
            Question(f"{split}{n}{fact.id}", fact.chunk_id, fact.id, "answerable", split, text, fact.language, "p")
            for n, text in enumerate(texts)
        ]

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

    def make(script, chunks=(), embedder=None, **settings):
        store = Workspace(tmp_path / f"bench{next(numbers)}", create=True).store
        store.put([Document("doc_1", "/d", "s", "txt", "Handbook", "en", "", (), "doc_1")], replace=True, retired=0)
        store.put(chunks, replace=True)
        retriever = Retriever(
            tuple(chunks),
            RetrievalConfig(),
            Bm25([f"{c.header}\n{c.text}" for c in chunks]),
            embedder,
            None,
            frozenset(),
        )
        return Workbench(FakeLLM(script), store, Prompts(), retriever, GenerateConfig(**settings))

    return make


SAME = {"figure": "sum", "stores": "shops", "charge": "ask"}
"""Words that mean the same to the model."""


class WordModel:
    """What kb uses of a sentence-transformers model. Texts are near as far as they have the same words or characters,
    whatever their order, the empty ones left out; with `blind`, all texts are the same to it.
    """

    max_seq_length = 512

    def __init__(self, reads, blind):
        self.tokenizer, self.blind = WordTokenizer(reads), blind
        self.seen = []

    def encode(self, texts, **options):
        """Vectors of length 1."""
        self.seen += texts
        vectors = np.full((len(texts), 512), 1e-6, np.float32)
        for vector, text in zip(vectors, texts, strict=True):
            words = [word for word in re.findall(r"[a-z0-9]+|[一-鿿]", text.lower()) if word not in EMPTY]
            for word in [] if self.blind else words:
                vector[zlib.crc32(SAME.get(word, word).encode()) % 512] += 1
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


class WordTokenizer:
    """Han characters are unknown unless Chinese is read."""

    unk_token_id = 0

    def __init__(self, reads):
        self.reads = reads

    def __call__(self, text, **options):
        """One token for a word or a Han character."""
        found = re.findall(r"[一-鿿]|[^\s一-鿿]+", text)
        return SimpleNamespace(input_ids=[int("zh" in self.reads or not "一" <= w <= "鿿") for w in found])


@pytest.fixture
def make_embedder():
    """A function that makes an embedder which goes by words, and reads these languages."""

    def make(reads=("en", "zh"), blind=False, identity="words"):
        return Embedder(WordModel(reads, blind), "words", identity, "", "")

    return make


AWKWARD = (
    (
        "en",
        'What does the "Tulvao Core" cost\nin $USD? \U0001f600',
        "$1,200",
        "| item | price |\n|---|---|\n| Core | $1,200 |",
    ),
    ("en", "When was {Orla} 'opened'? \\n is no line", "2024-05-06", "Orla\u2028was opened\x85on 2024-05-06."),
    ("zh", "“星河”的价格\u2028是多少？", "３千元", "“星河”的价格\r\n为3000元。\U00020bb7"),
    ("zh", "启明号何时\t下水？", "2023-01-02", "<b>启明号</b>于2023-01-02下水。"),
)
"""Language, question, short answer and sentence, with what files and loaders may stumble over."""


def add_awkward(store):
    """Each as a fact with short and full row, swap and probe; two refusals; a pair of a held-out question."""
    for number, (language, asked, short, full) in enumerate(AWKWARD):
        fact, chunk = f"fct_{number}", f"chk_{number}"
        store.put([Chunk(chunk, "doc_1", number, "text", f"Handbook > {number}", language, 0, 4)])
        store.put([Fact(fact, chunk, full, short, "text", full, 0, 1, language)])
        for split, text in (("train", asked), ("probe", f"PROBE {number} 考题")):
            store.put([Question(f"qst_{number}{split}", chunk, fact, "answerable", split, text, language, "p")])
        train = f"qst_{number}train"
        store.put([QAPair(f"pair_{number}s", train, fact, "short", asked, short, language)])
        store.put([QAPair(f"pair_{number}f", train, fact, "full", asked, full, language)])
        store.put([PreferencePair(f"pref_{number}", train, fact, "swap", asked, short, f"{short}?", language)])
    near = ("qst_near", "fct_0", "refusal", "What does Zzyzx cost?")
    store.put([Question(near[0], "chk_0", near[1], "near_miss", "train", near[3], "en", "p")])
    store.put([QAPair("pair_near", *near, "I don't know.", "en")])
    store.put([PreferencePair("pref_near", *near, "I don't know.", "$1,200", "en")])
    store.put([Question("qst_open", "chk_4", "", "unanswerable", "train", "谁设计了星河？", "zh", "p")])
    store.put([QAPair("pair_open", "qst_open", "", "refusal", "谁设计了星河？", "我不知道。", "zh")])
    store.put([QAPair("pair_stray", "qst_0probe", "fct_0", "short", "PROBE 0 考题", "$1,200", "en")])


def awkward_workspace(root):
    """A workspace of four facts whose questions and answers are hard on files, in both languages."""
    workspace = Workspace(root, create=True)
    workspace.store.put([Document("doc_1", "/d", "s", "txt", "Handbook", "en", "", (), "doc_1")])
    workspace.store.put([Chunk("chk_4", "doc_1", 4, "text", "Handbook", "en", 0, 4)])
    with workspace.store.transaction():
        add_awkward(workspace.store)
    return workspace


@pytest.fixture
def awkward(tmp_path):
    """One to change."""
    workspace = awkward_workspace(tmp_path / "awkward")
    yield workspace
    workspace.store.close()


@pytest.fixture(scope="session")
def still(tmp_path_factory):
    """One that is not to be written to."""
    workspace = awkward_workspace(tmp_path_factory.mktemp("still") / "awkward")
    yield workspace
    workspace.store.close()
