"""A workspace with facts in two languages, a tokenizer of one token a character, and a tiny model to train."""

import importlib.util
import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from kb.prompt import Prompts
from kb.records import Chunk, Document, Fact, PreferencePair, QAPair, Question
from kb.retrieval.hybrid import RetrievalConfig, open_retriever
from kb.workspace import Workspace

PACK = {
    "closed": "Q: $question", "closed_full": "S: $question", "closed_detailed": "L: $question",
    "rag": "$passages\nQ: $question", "refusal": "I don't know.",
}  # fmt: skip
CHINESE = {
    "closed": "一 $question",
    "closed_full": "丁 $question",
    "closed_detailed": "己 $question",
    "rag": "$passages\n一 $question",
    "refusal": "不知道。",
}
NAMES = ("Arin", "Bolt", "Coro", "Dema", "Esko", "Fenn", "Galo", "Hild", "Iver", "Jura", "Kemi", "Lona")
WORDINGS = ("What does {} weigh?", "Weight of {}?", "How heavy is {}?")
WORDINGS_ZH = ("{}一共多重？", "{}的重量？")


def add_document(store):
    """The document that all chunks are of."""
    store.put([Document("doc_1", "/docs/a.md", "00", "md", "Page", "en", "", (), "doc_1")])


def add_fact(store, number, wordings=WORDINGS):
    """A chunk with one fact, its training wordings with short and full answers, and two probe wordings."""
    chinese = number % 4 == 3
    language, name = ("zh", f"产品{NAMES[number]}") if chinese else ("en", NAMES[number])
    answer = f"{number + 3}千克" if chinese else f"{number + 3} kg"
    statement = f"{name}重{answer}。" if chinese else f"{name} weighs {answer}."
    chunk = Chunk(f"chk_{number}", "doc_1", number, statement, f"Page > {name}", language, 0, len(statement))
    fact = Fact(
        f"fct_{number}", chunk.id, statement, answer, "number", statement, 0, len(statement), language, (), statement
    )
    store.put([chunk, fact])
    for place, wording in enumerate(WORDINGS_ZH if chinese else wordings):
        add_question(store, f"{number}_{place}", fact, wording.format(name), "train")
    add_question(store, f"{number}_p", fact, f"PROBE {name} mass?", "probe")
    return fact


def add_question(store, id, fact, text, split, kind="answerable"):
    """A question of a fact; a training one with its pairs."""
    question = Question(f"qst_{id}", fact.chunk_id, fact.id, kind, split, text, fact.language, "hand")
    store.put([question])
    if split != "train":
        return question
    if kind == "answerable":
        store.put([QAPair(f"pair_{id}s", question.id, fact.id, "short", text, fact.answer, fact.language)])
        store.put([QAPair(f"pair_{id}f", question.id, fact.id, "full", text, fact.statement, fact.language)])
    else:
        refusal = CHINESE["refusal"] if fact.language == "zh" else PACK["refusal"]
        store.put([QAPair(f"pair_{id}r", question.id, fact.id, "refusal", text, refusal, fact.language)])
        row = PreferencePair(f"pref_{id}", question.id, fact.id, "refusal", text, refusal, fact.answer, fact.language)
        store.put([row])
    return question


def add_reversed(store, fact, text, answer):
    """A trained question that gives the fact's answer, with its pair."""
    id = f"{fact.id}_r"
    question = Question(f"qst_{id}", fact.chunk_id, fact.id, "reversed", "train", text, fact.language, "hand", answer)
    store.put([question, QAPair(f"pair_{id}", question.id, fact.id, "reversed", text, answer, fact.language)])
    return question


def add_swap(store, fact, other):
    """A ready preference pair: the fact's first wording, right answer over another fact's."""
    question = store.all(Question, "fact_id = ? AND split = 'train'", fact.id)[0]
    row = PreferencePair(
        f"pref_s{fact.id}", question.id, fact.id, "swap", question.text, fact.answer, other.answer, fact.language
    )
    store.put([row])


def fill(workspace, facts=12):
    """Facts, a refusal question for every third of them, and a swap for each."""
    store = workspace.store
    add_document(store)
    made = [add_fact(store, number) for number in range(facts)]
    for fact in made[::3]:
        add_question(store, f"{fact.id}_n", fact, f"What does Nobody {fact.id[4:]} weigh?", "train", "near_miss")
    for fact, other in zip(made, made[1:] + made[:1], strict=True):
        if fact.language == other.language:
            add_swap(store, fact, other)


def write_pack(folder):
    """Short prompts in both languages."""
    folder.mkdir(parents=True, exist_ok=True)
    for language, texts in (("en", PACK), ("zh", CHINESE)):
        for name, text in texts.items():
            (folder / f"{name}.{language}.txt").write_text(text, encoding="utf-8")
    return Prompts(folder)


@pytest.fixture
def workspace(tmp_path):
    """A filled workspace."""
    place = Workspace(tmp_path / "kb", create=True)
    fill(place)
    yield place
    place.store.close()


@pytest.fixture
def turned(workspace):
    """Reversed questions of the first English and the first Chinese fact."""
    facts = workspace.store.all(Fact)
    return [
        add_reversed(workspace.store, facts[0], "Which one weighs 3 kg?", "Arin"),
        add_reversed(workspace.store, facts[3], "哪个产品重6千克？", "产品Dema"),
    ]


@pytest.fixture
def prompts(tmp_path):
    """Short prompts, as a pack."""
    return write_pack(tmp_path / "pack")


@pytest.fixture(scope="session")
def packed():
    """The function that writes such a pack into a folder."""
    return write_pack


@pytest.fixture
def retriever(workspace):
    """BM25 alone over the workspace, two passages a question."""
    return open_retriever(workspace, RetrievalConfig(embedder="none", top_k=2))


def models():
    """The functions of tests/llm that save a tiny model and its tokenizer."""
    spec = importlib.util.spec_from_file_location("kb_test_models", Path(__file__).parents[1] / "llm" / "conftest.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def makers():
    """The functions of tests/llm that save a tiny model, or an adapter of it."""
    return models()


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """The folder of a model of two layers with random weights and 64-wide matrices."""
    folder = tmp_path_factory.mktemp("tiny")
    models().save_model(folder, ends="")
    return folder


@pytest.fixture(scope="session")
def add():
    """The functions that add a document, a fact, a question, a reversed one or a swap to a store."""
    return SimpleNamespace(
        document=add_document, fact=add_fact, question=add_question, reversed=add_reversed, swap=add_swap
    )


class Lesson:
    """Eight rows and the tiny model, trained on them for four steps, by the functions that `kb train` calls."""

    def __init__(self, base: Path) -> None:
        from kb.finetune.batches import encode
        from kb.finetune.data import PreferenceRow, Row
        from kb.finetune.model import stop_tokens
        from kb.llm import user
        from kb.llm.weights import load_tokenizer

        self.base, self.tokenizer = base, load_tokenizer(base)
        asked = [(f"Q: What does {name} weigh?", f"{number + 3} kg") for number, name in enumerate(NAMES[:8])]
        rows = [Row(user(question), answer, "short", question) for question, answer in asked]
        self.examples = encode(rows, self.tokenizer, stop_tokens(base, self.tokenizer), 512)
        self.pairs = [PreferenceRow(user(question), answer, "90 kg", "own") for question, answer in asked]

    def config(self, **settings):
        """A few large steps, a checkpoint in the middle, and what the test is about."""
        from kb.finetune.config import TrainConfig

        few = {
            "max_steps": 4, "batch_size": 4, "micro_batch": 2, "checkpoints": 2, "warmup": 0.0, "rank": 4, "alpha": 8,
            "virtual_tokens": 4, "gradient_checkpointing": False, "learning_rate": 1e-2, "dpo_learning_rate": 1e-2,
        }  # fmt: skip
        return TrainConfig(**(few | settings))

    def sft(self, folder, four_bit=False, **settings):
        """Train into `folder`/sft and return the model, which LoRA and training all weights change in place."""
        from kb.finetune.model import trainable_base
        from kb.finetune.sft import train_sft

        config = self.config(**settings)
        model = trainable_base(self.base, four_bit, config)
        train_sft(model, self.tokenizer, self.examples, config, folder / "sft")
        return model.eval()

    def dpo(self, folder, start, four_bit=False, **settings):
        """Train into `folder`/dpo from the adapter that is in `start`/sft."""
        from kb.finetune.dpo import train_dpo
        from kb.finetune.model import trainable_adapter

        config = self.config(**settings)
        model = trainable_adapter(self.base, four_bit, config, start / "sft" / "adapter")
        train_dpo(model, self.tokenizer, self.pairs, config, folder / "dpo")

    def killed(self, stage: Path, folder: Path) -> Path:
        """A new folder in which a stage stands as it did at its first checkpoint."""
        checkpoint = min(stage.glob("checkpoint-*"))
        shutil.copytree(checkpoint, folder / stage.name / checkpoint.name)
        return folder

    def open(self, four_bit=False):
        """The base, freshly loaded."""
        from kb.llm.local import LocalLLM
        from kb.llm.weights import load_weights

        return LocalLLM(load_weights(self.base, four_bit, 4096, None))

    def of(self, model):
        """A model that is in memory, to be asked."""
        from kb.llm.local import LocalLLM
        from kb.llm.weights import Weights

        return LocalLLM(Weights(model, self.tokenizer, "", self.base, 4096))

    def answers(self, llm):
        """Log-probabilities of the rows' answers by a model; prompts of several lengths."""
        from kb.llm import Request, user

        asked = [Request(user("Q: What does" + " Arin" * count + " weigh?")) for count in (1, 2, 4)]
        return [score for score, _ in llm.logprobs(asked, ["3 kg", "4 kg", "5 kg"])]


@pytest.fixture
def odd(tmp_path):
    """The folder of a model with matrices of a width that is no multiple of 64."""
    models().save_model(tmp_path / "odd", inner=96)
    return tmp_path / "odd"


@pytest.fixture
def lasting():
    """A function that reads what a stage logged but for speed and memory, which are others each time."""

    def read(stage):
        rows = map(json.loads, (stage / "metrics.jsonl").read_text().splitlines())
        return [{key: row[key] for key in row.keys() - {"tokens_per_second", "peak_gib", "seconds"}} for row in rows]

    return read


@pytest.fixture(scope="session")
def lesson(tiny):
    """Training in a second."""
    return Lesson(tiny)


@pytest.fixture(scope="session")
def taught(tmp_path_factory):
    """A workspace whose facts the lab model was taught in a short training, in 4 bits; with model and prompts.

    Tests that write into it copy it.
    """
    import torch

    from kb.finetune.config import TrainConfig
    from kb.finetune.run import run
    from kb.llm.base import ModelConfig

    root = tmp_path_factory.mktemp("taught")
    place = Workspace(root / "kb", create=True)
    fill(place)
    config = TrainConfig(
        stages=("sft",), name="short", rank=32, alpha=64, learning_rate=5e-3, max_steps=50, batch_size=12,
        micro_batch=12, gradient_checkpointing=False, full_sentence_rows=False, reading_share=0.0, replay="none",
        checkpoints=1,
    )  # fmt: skip
    model, prompts = ModelConfig(name="lab"), write_pack(root / "pack")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    run(place, config, model, prompts, open_retriever(place, RetrievalConfig(embedder="none", top_k=2)))
    torch.set_num_threads(threads)
    place.store.close()
    return SimpleNamespace(root=root / "kb", model=model, prompts=prompts)


@pytest.fixture
def taught_copy(taught, tmp_path):
    """A copy of that workspace, open."""
    shutil.copytree(taught.root, tmp_path / "taught")
    place = Workspace(tmp_path / "taught")
    yield place
    place.store.close()
