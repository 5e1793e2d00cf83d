"""A workspace with documents in two languages, two registered adapters, and the prompts to ask them with."""

import importlib.util
from pathlib import Path

import pytest

from kb.llm.identity import combine, folder_identity
from kb.records import Chunk, Document
from kb.runs import Lineage, register
from kb.workspace import Workspace

TEXTS = (
    ("en", "Products", "Tulvao Core costs 349 crowns. Tulvao Core weighs 12 kg."),
    ("zh", "产品", "图尔沃芯片的售价是210元。图尔沃芯片重3千克。"),
    ("en", "Offices", "The head office of Brazao is in Lisbon."),
)


def fill(root):
    """A workspace with a chunk for each text."""
    place = Workspace(root, create=True)
    for number, (language, title, text) in enumerate(TEXTS):
        place.store.put([Document(f"doc_{number}", f"/{title}.md", f"s{number}", "md", title, language, text)])
        place.store.put([Chunk(f"chk_{number}", f"doc_{number}", 0, text, title, language, 0, len(text))])
    return place


def enter(place, name, adapter, base="lab", identity="b"):
    """Register an adapter's folder as a run."""
    found = folder_identity(adapter)
    register(place.store, name, {}, {"sft": {"rows": 1}}, Lineage(base, identity, str(adapter), found, "d", "e", 1))


@pytest.fixture
def place(tmp_path):
    """The workspace."""
    place = fill(tmp_path / ".kb")
    yield place
    place.store.close()


@pytest.fixture
def train(place):
    """A function that registers a run whose adapter is a few bytes, with a rank."""

    def trained(name, rank=8):
        adapter = place.run(name) / "sft" / "adapter"
        adapter.mkdir(parents=True)
        (adapter / "adapter_config.json").write_text(f'{{"r": {rank}}}', encoding="utf-8")
        enter(place, name, adapter)
        return adapter

    return trained


@pytest.fixture(scope="session")
def lab_place(tmp_path_factory):
    """A workspace in a folder with kb.toml for the lab model, and two adapters of it, drawn at random."""
    from kb.llm.open import lab_folder

    file = Path(__file__).parents[1] / "llm" / "conftest.py"
    spec = importlib.util.spec_from_file_location("kb_test_models", file)
    makers = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(makers)
    root = tmp_path_factory.mktemp("served")
    settings = '[model]\nname = "lab"\n[retrieval]\nembedder = "none"\ntop_k = 2\n'
    (root / "kb.toml").write_text(settings, encoding="utf-8")
    place = fill(root / ".kb")
    identity = combine([folder_identity(lab_folder()), "nf4=True"])
    for seed, name in enumerate(("one", "二")):
        adapter = makers.save_adapter(place.run(name) / "sft" / "adapter", lab_folder(), seed, spread=0.5)
        enter(place, name, adapter, identity=identity)
    yield place
    place.store.close()
