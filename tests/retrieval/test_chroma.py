"""The vector index on disk: built whole or not at all, and never trusted blindly."""

import logging
import os
import shutil

import numpy as np
import pytest

from kb.retrieval.exact import ExactIndex

pytestmark = pytest.mark.slow
"""chroma takes long to import, so no unit test touches it."""

IDS = [f"chk_{n}" for n in range(60)]


def unit_vectors(count, seed):
    """Random vectors of length 1."""
    vectors = np.random.default_rng(seed).normal(size=(count, 16)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


class Vectors:
    """The vectors in kb.db; `asked` counts how many were loaded."""

    def __init__(self, vectors):
        self.vectors, self.asked = vectors, 0

    def __call__(self, ids):
        """Those of these chunks, in their order."""
        self.asked += len(ids)
        return self.vectors[[int(id.removeprefix("chk_")) for id in ids]]


@pytest.fixture
def load():
    """Vectors of sixty chunks."""
    return Vectors(unit_vectors(60, 1))


@pytest.fixture
def root(tmp_path):
    """Where the indexes lie; not there yet."""
    return tmp_path / "chroma"


@pytest.fixture
def opened(root, load):
    """A function that opens the index; all that are still open are closed after the test."""
    # Here, so that a run without these tests does not import chroma.
    from kb.retrieval.chroma import open_index

    indexes = []

    def make(ids=IDS, load=load, build=True, model="model-a"):
        index = open_index(root, model, ids, load, build)
        indexes.append(index)
        return index

    yield make
    for index in indexes:
        close(index)


def close(index):
    """Let go of the files, as the end of a command does."""
    if not isinstance(index, ExactIndex):
        index.close()


def files(root):
    """Every file under a folder with its bytes."""
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def names(root):
    """Every file under a folder with its size; chroma names a folder in an index at random when it is built."""
    return {name: len(data) for name, data in files(root).items()}


def folders(root):
    """Names of the indexes under a folder."""
    return sorted(path.name for path in root.iterdir())


def agrees(index, ids, vectors, count=10):
    """Whether an index over the first vectors gives what exact search gives, for queries that are no chunk's vector."""
    queries, exact = unit_vectors(40, 2), ExactIndex(ids, vectors[: len(ids)])
    for near, true in zip(index.nearest(queries, count), exact.nearest(queries, count), strict=True):
        if [id for id, _ in near] != [id for id, _ in true]:
            return False
        if [cosine for _, cosine in near] != pytest.approx([cosine for _, cosine in true], abs=1e-5):
            return False
    return True


@pytest.mark.parametrize("count", [1, 60, 1300])
def test_the_index_gives_what_exact_search_gives(count, opened):
    """The same chunks in the same order with the same cosines, for one chunk and for more than one batch."""
    load, ids = Vectors(unit_vectors(count, 3)), [f"chk_{n}" for n in range(count)]
    index = opened(ids, load)
    assert not isinstance(index, ExactIndex)
    assert agrees(index, ids, load.vectors)
    assert len(index.nearest(load.vectors[:1], count + 50)[0]) == count


def test_an_index_is_opened_again_and_not_built_again(root, load, opened):
    """The next commands, readers or writers, load a sample of the vectors, and no file comes, goes or grows."""
    close(opened())
    before, load.asked = names(root), 0
    for build in (False, True):
        index = opened(build=build)
        assert not isinstance(index, ExactIndex)
        assert agrees(index, IDS, load.vectors)
        close(index)
    assert load.asked <= 2 * 20
    assert names(root) == before


def test_the_order_of_the_chunks_does_not_make_another_index(root, load, opened):
    """The same chunks in another order are the same index."""
    close(opened())
    before = names(root)
    assert agrees(opened(IDS[::-1]), IDS, load.vectors)
    assert names(root) == before


def test_a_reader_without_an_index_searches_exactly_and_builds_none(root, load, opened):
    """Without an index on disk a reader finds the same and leaves nothing behind."""
    index = opened(build=False)
    assert isinstance(index, ExactIndex)
    assert agrees(index, IDS, load.vectors)
    assert not root.exists()


def truncate(folder):
    """Half of the database is gone."""
    os.truncate(folder / "chroma.sqlite3", (folder / "chroma.sqlite3").stat().st_size // 2)


def remove(folder):
    """The database is gone."""
    (folder / "chroma.sqlite3").unlink()


def remove_vectors(folder):
    """The file with the graph is gone."""
    next(folder.rglob("data_level0.bin")).unlink()


def garbage(folder):
    """The database is something else."""
    (folder / "chroma.sqlite3").write_bytes(b"not a database" * 100)


def garbage_manifest(folder):
    """The list of files is something else."""
    (folder / "manifest.json").write_bytes(b"\xff\x00 not JSON")


def foreign_file(folder):
    """A file that was not written with the index."""
    (folder / "more.bin").write_bytes(b"more")


DAMAGES = [truncate, remove, remove_vectors, garbage, garbage_manifest, foreign_file]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_index_is_built_again_by_the_writer(damage, root, load, opened, caplog):
    """The writer says that it is damaged and builds it; the command after it finds it whole."""
    close(opened())
    damage(root / folders(root)[0])
    index = opened()
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "is damaged" in caplog.text
    assert not isinstance(index, ExactIndex)
    assert agrees(index, IDS, load.vectors)
    close(index)
    caplog.clear()
    assert not isinstance(opened(build=False), ExactIndex)
    assert not caplog.records


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_reader_of_a_damaged_index_searches_exactly(damage, root, load, opened, caplog):
    """A reader says that it is damaged, finds the same by exact search, and repairs nothing."""
    close(opened())
    damage(root / folders(root)[0])
    before = files(root)
    index = opened(build=False)
    assert "is damaged" in caplog.text
    assert isinstance(index, ExactIndex)
    assert agrees(index, IDS, load.vectors)
    assert files(root) == before


@pytest.mark.parametrize("start", [0, 4096])
def test_garbage_of_the_right_size_is_damage_too(start, root, load, opened):
    """A database whose bytes were changed, and not their number, does not end the command."""
    close(opened())
    file = root / folders(root)[0] / "chroma.sqlite3"
    data = file.read_bytes()
    file.write_bytes(data[:start] + b"\xa5" * (len(data) - start))
    assert agrees(opened(), IDS, load.vectors)


def test_an_index_that_fails_at_its_first_search_is_built_again(root, opened):
    """The writer's own command already has the new index, and its files are as they were written."""
    load, ids = Vectors(unit_vectors(1200, 3)), [f"chk_{n}" for n in range(1200)]
    close(opened(ids, load))
    file = next(root.rglob("header.bin"))
    file.write_bytes(b"\xa5" * file.stat().st_size)
    index = opened(ids, load)
    assert not isinstance(index, ExactIndex)
    assert agrees(index, ids, load.vectors)


def test_vectors_that_are_not_those_of_the_database_are_damage(load, opened, caplog):
    """An index of the right chunks with other vectors does not find the sample, and is built again."""
    close(opened())
    other = Vectors(unit_vectors(60, 9))
    index = opened(load=other)
    assert "20 of 20 vectors are not found" in caplog.text
    assert agrees(index, IDS, other.vectors)


def test_chunks_with_equal_vectors_are_no_damage(root, opened, caplog):
    """Of chunks with the same text either may be found for the other; that is not a fault."""
    same = Vectors(np.tile(unit_vectors(1, 4), (60, 1)))
    close(opened(load=same))
    assert not isinstance(opened(load=same, build=False), ExactIndex)
    assert not caplog.records


def test_a_killed_build_is_never_opened_and_is_cleared_away(root, load, opened):
    """What a kill left aside is no index to a reader, and the next writer builds anew and removes it."""
    close(opened())
    [name] = folders(root)
    whole = root / name
    whole.rename(root / f"{name}.part")
    (root / f"{name}.part" / "manifest.json").unlink()
    assert isinstance(opened(build=False), ExactIndex)
    assert folders(root) == [f"{name}.part"]
    index = opened()
    assert not isinstance(index, ExactIndex)
    assert agrees(index, IDS, load.vectors)
    assert folders(root) == [name]


def test_what_a_killed_build_of_other_chunks_left_is_cleared_away(root, opened):
    """The remains need not be of the chunks that are there now, nor the index need building."""
    close(opened())
    before = folders(root)
    (root / "0123456789abcdef.part").mkdir()
    (root / "0123456789abcdef.part" / "chroma.sqlite3").write_bytes(b"torn")
    close(opened(build=False))
    assert len(folders(root)) == 2
    close(opened())
    assert folders(root) == before


@pytest.mark.parametrize("changed", [{"ids": IDS[:-1]}, {"model": "model-b"}])
def test_the_index_of_other_chunks_or_another_model_is_replaced(changed, root, load, opened, caplog):
    """It is neither used nor damage: a reader leaves it, the writer builds its own and removes it."""
    close(opened())
    before = folders(root)
    ids = changed.get("ids", IDS)
    reader = opened(build=False, **changed)
    assert isinstance(reader, ExactIndex)
    assert folders(root) == before
    writer = opened(**changed)
    assert not isinstance(writer, ExactIndex)
    assert agrees(reader, ids, load.vectors)
    assert agrees(writer, ids, load.vectors)
    assert len(folders(root)) == 1
    assert folders(root) != before
    assert not caplog.records


def test_where_chroma_cannot_be_used_the_writer_searches_exactly(load, opened, monkeypatch, caplog):
    """An error of chroma itself is logged, and costs speed and no answer."""
    import chromadb

    def fails(*arguments):
        raise RuntimeError("no such instruction")

    monkeypatch.setattr(chromadb, "PersistentClient", fails)
    index = opened()
    assert isinstance(index, ExactIndex)
    assert agrees(index, IDS, load.vectors)
    assert "cannot be built, searching without it: no such instruction" in caplog.text


def test_the_copy_of_a_killed_process_is_removed_by_the_next(root, load, opened, tmp_path, monkeypatch):
    """A copy goes when its process is dead, whatever killed it; those of living ones stay, and very young ones too."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    living = opened()
    (held,) = temporary.iterdir()
    dead, young = temporary / "kb-index-dead", temporary / "kb-index-young"
    for copy in (dead, young):
        shutil.copytree(held, copy)
    for copy in (held, dead):
        os.utime(copy, (0, 0))
    opened(build=False)
    left = set(temporary.iterdir())
    assert dead not in left
    assert {held, young} < left
    assert len(left) == 3
    assert agrees(living, IDS, load.vectors)
