"""Chunks that say nothing new."""

import pytest

from kb.ingest.copies import mark_copies
from kb.records import Chunk, Fact
from kb.store import ORIGINALS, PASSAGES, SECTIONS

pytestmark = pytest.mark.slow

EN = " ".join(f"Rule {n} applies to department {n % 7} and sets a fine of {n * 3} crowns." for n in range(30))
ZH = "".join(f"第{n}号规定适用于{n % 7}部，罚款{n * 3}.5万元，不得减免。" for n in range(30))

BOTH = "甲部门每年的罚款上限为{}万元，乙部门每年的罚款上限为{}万元。"


def pairs(workspace):
    """Which file's chunk is a copy of which file's."""
    rows = workspace.store.sql(
        "SELECT a.path AS copy, b.path AS kept FROM copies o"
        " JOIN chunks c ON c.id = o.chunk_id JOIN documents a ON a.id = c.document_id"
        " JOIN chunks k ON k.id = o.kept JOIN documents b ON b.id = k.document_id ORDER BY a.path"
    )
    return [(row["copy"].rpartition("/")[2], row["kept"].rpartition("/")[2]) for row in rows]


@pytest.fixture
def two(workspace, folder, ingest):
    """Ingests two texts as a.md and b.md, each under a title, and says which chunks are copies."""

    def go(first, second, headings=("Rules", "Rules")):
        for name, heading, text in zip("ab", headings, (first, second), strict=True):
            (folder / f"{name}.md").write_text(f"# Title {name}\n\n## {heading}\n\n{text}\n", encoding="utf-8")
        report = ingest(folder)
        assert report.copies == len(pairs(workspace))
        return pairs(workspace)

    return go


@pytest.mark.parametrize("text", [EN, ZH])
def test_the_same_text_elsewhere_is_a_copy(workspace, two, text):
    """However its blanks, width and punctuation are: it is in no search, and asked about once."""
    other = text.replace(". ", ".\n").replace("，", ", ").replace("department", "depart-\nment")
    assert two(text, other) == [("b.md", "a.md")]
    store = workspace.store
    assert (store.count(Chunk, SECTIONS), store.count(Chunk, ORIGINALS)) == (2, 1)
    original = store.all(Chunk, ORIGINALS)[0]
    assert {passage.root for passage in store.all(Chunk, PASSAGES)} == {original.id}


@pytest.mark.parametrize(
    ("text", "old", "new"),
    [
        (EN, "a fine of 60 crowns", "a fine of 61 crowns"), (EN, "Rule 20 applies", "Rule 20 never applies"),
        (ZH, "罚款60.5万元", "罚款605万元"), (ZH, "罚款60.5万元，不得", "罚款60.5万元，可以"),
        (ZH, "罚款60.5万元", "罚款>60.5万元"),
        (ZH + BOTH.format("五", "九"), BOTH.format("五", "九"), BOTH.format("九", "五")),
    ],
)  # fmt: skip
def test_what_differs_in_a_word_or_a_number_is_none(two, text, old, new):
    """Nearly all is the same, and it says something else."""
    assert text.count(old) == 1
    assert two(text, text.replace(old, new)) == []


def test_what_stands_under_another_heading_is_none(two):
    """The same table for another branch is another fact; so is a short text under another title."""
    assert two(ZH, ZH, ("北京分公司", "上海分公司")) == []
    assert two("The price is 210 crowns.", "The price is 210 crowns.") == []


def test_a_part_of_a_longer_text_is_a_copy_of_it(two):
    """What is left out elsewhere says nothing new; the longer one says more, whichever comes first."""
    shorter = EN.rpartition(" Rule 29")[0]
    assert two(EN, shorter) == [("b.md", "a.md")]
    assert two(shorter, EN) == []


def test_a_text_that_is_cut_elsewhere_is_a_copy(workspace, folder, ingest):
    """The chunk beside the near one has the rest."""
    paragraphs = [" ".join(f"Clause {n}.{m} sets {n * m + 7} crowns." for m in range(1, 4)) for n in range(1, 61)]
    (folder / "a.md").write_text("# T\n\n" + "\n\n".join(paragraphs))
    (folder / "b.md").write_text("# T\n\n" + "\n\n".join(paragraphs[1:]))
    report = ingest(folder, target_tokens=400, max_tokens=500)
    assert report.chunks > 6
    assert set(pairs(workspace)) == {("b.md", "a.md")}
    assert report.copies >= 2


def test_a_copy_counts_when_what_it_copies_is_gone(workspace, folder, ingest, two):
    """And the document with facts is no copy, even if it came later."""
    two(EN, EN)
    (folder / "a.md").unlink()
    assert ingest(folder).copies == 0
    store = workspace.store
    (chunk,) = store.all(Chunk, ORIGINALS)
    store.put([Fact("fct_1", chunk.id, "s", "60", "number", "60", chunk.start, chunk.start + 2, "en")])
    (folder / "a.md").write_text(f"# Title a\n\n## Rules\n\n{EN}\n")
    assert ingest(folder).copies == 1
    assert pairs(workspace) == [("a.md", "b.md")]


def test_nothing_is_compared_again_while_nothing_changes(workspace, two, monkeypatch):
    """Neither chunks nor signatures."""
    two(EN, EN)
    monkeypatch.setattr("kb.ingest.copies._Search", None)
    assert mark_copies(workspace.store, False) == 1


def test_what_has_no_signature_is_signed(workspace, two):
    """Chunks that an earlier version stored: the same copies, by the same signatures."""
    found = two(EN, EN)
    store = workspace.store
    signatures = [tuple(row) for row in store.sql("SELECT * FROM signatures ORDER BY chunk_id")]
    assert [len(near) for _, _, near in signatures] == [512, 512]
    store.sql("DELETE FROM signatures")
    store.set_setting("copies", "")
    assert mark_copies(store, False) == 1
    assert pairs(workspace) == found
    assert [tuple(row) for row in store.sql("SELECT * FROM signatures ORDER BY chunk_id")] == signatures
