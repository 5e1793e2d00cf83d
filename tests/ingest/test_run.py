"""`kb ingest`: identity and change."""

from pathlib import Path

from kb.ingest import read as reading
from kb.ingest.report import FailedFile, IngestReport
from kb.records import Chunk, Document, Fact
from kb.store import PASSAGES, SECTIONS

ZH = "# 条例\n\n## 罚款\n\n罚款不超过47万元。\n\n## 生效\n\n条例于1992年12月17日生效。\n"
EN = "# Rules\n\n## Fines\n\nThe maximum fine is 84 thousand crowns.\n"


def test_first_run(workspace, corpus, ingest):
    """Documents and chunks land with exact spans, headers and languages."""
    (corpus / "table.zip").write_bytes(b"x")
    report = ingest(corpus)
    assert report == IngestReport(
        read=2, changed=0, unchanged=0, moved=0, retired=0, duplicates=(), failed=(), skipped=((".zip", 1),),
        documents=2, chunks=3, chunks_new=3, passages=3, copies=0, languages=(("zh", 2), ("en", 1)), notes=(),
    )  # fmt: skip
    documents = {document.id: document for document in workspace.store.all(Document)}
    chunks = workspace.store.all(Chunk)
    assert [(chunk.header, chunk.text, chunk.language, chunk.ordinal) for chunk in chunks] == [
        ("Rules > Fines", "The maximum fine is 84 thousand crowns.", "en", 0),
        ("条例 > 罚款", "罚款不超过47万元。", "zh", 0),
        ("条例 > 生效", "条例于1992年12月17日生效。", "zh", 1),
    ]
    for chunk in chunks:
        assert documents[chunk.document_id].text[chunk.start : chunk.end] == chunk.text


def test_second_run_parses_nothing(workspace, corpus, monkeypatch, ingest, state):
    """Bytes that are there already are not read again."""
    ingest(corpus)
    before = state(workspace)
    monkeypatch.setattr(reading, "parse", None)
    report = ingest(corpus)
    assert (report.read, report.unchanged, report.chunks_new) == (0, 2, 0)
    assert state(workspace) == before


def test_a_changed_file_keeps_the_ids_of_what_did_not_change(workspace, corpus, ingest):
    """The old version is retired, the new one inherits its lineage, and facts move with their unchanged chunk."""
    ingest(corpus)
    store = workspace.store
    old = {chunk.header: chunk for chunk in store.all(Chunk)}
    chunk = old["条例 > 生效"]
    at = chunk.start + 3
    store.put([Fact("fct_1", chunk.id, "s", "1992年12月17日", "date", "1992年12月17日", at, at + 11, "zh")])
    (corpus / "zh.md").write_bytes(ZH.replace("47万元", "四百七十万元整").encode())
    report = ingest(corpus)
    assert (report.read, report.changed, report.unchanged, report.chunks_new, report.documents) == (1, 1, 1, 1, 2)
    new = {chunk.header: chunk for chunk in store.all(Chunk)}
    assert new["条例 > 生效"].id == chunk.id
    assert new["条例 > 罚款"].id != old["条例 > 罚款"].id
    fact = store.get(Fact, "fct_1")
    document = store.get(Document, new["条例 > 生效"].document_id)
    assert document.text[fact.start : fact.end] == "1992年12月17日"
    assert store.count(Fact) == 1


def test_a_file_that_is_changed_back_is_as_it_was(workspace, corpus, ingest, state):
    """An old version that returns has the ids it had; nothing of the version between counts."""
    ingest(corpus)
    before = state(workspace)
    (corpus / "zh.md").write_bytes(b"# Other\n\nwords")
    ingest(corpus)
    (corpus / "zh.md").write_bytes(ZH.encode())
    assert ingest(corpus).changed == 1
    assert state(workspace) == before


def test_a_deleted_file_is_retired_and_comes_back(workspace, corpus, ingest, state):
    """A file gone from an ingested folder, or named though gone, is retired; the same bytes bring it back."""
    ingest(corpus)
    before = state(workspace)
    (corpus / "zh.md").unlink()
    report = ingest(corpus)
    assert (report.retired, report.documents, report.chunks) == (1, 1, 1)
    (corpus / "zh.md").write_bytes(ZH.encode())
    assert ingest(corpus).read == 1
    assert state(workspace) == before
    (corpus / "zh.md").unlink()
    assert ingest(corpus / "zh.md").retired == 1


def test_without_recursion_only_files_of_the_folder_itself_are_retired(workspace, corpus, ingest):
    """With `recursive` off a file deleted from the folder is retired; one below it was not looked for and stays."""
    (corpus / "below").mkdir()
    (corpus / "below" / "规定.md").write_bytes("# 规定\n\n正文。".encode())
    ingest(corpus)
    (corpus / "zh.md").unlink()
    (corpus / "below" / "规定.md").unlink()
    assert ingest(corpus, recursive=False).retired == 1
    assert {Path(document.path).name for document in workspace.store.all(Document)} == {"en.md", "规定.md"}


def test_a_file_outside_the_given_folder_is_left_alone(workspace, corpus, tmp_path, ingest):
    """Ingesting one folder says nothing about files elsewhere."""
    ingest(corpus)
    (corpus / "zh.md").unlink()
    other = tmp_path / "other"
    other.mkdir()
    assert ingest(other).retired == 0
    assert workspace.store.count(Document) == 2


def test_same_bytes_are_one_document(workspace, corpus, ingest, state):
    """A copy is reported and read once; when the original goes, the document moves to the copy with all its ids."""
    (corpus / "zz.md").write_bytes(ZH.encode())
    report = ingest(corpus)
    assert report.duplicates == ((str(corpus / "zz.md"), str(corpus / "zh.md")),)
    assert report.documents == 2
    chunks = state(workspace)[1]
    (corpus / "zh.md").unlink()
    report = ingest(corpus)
    assert (report.moved, report.unchanged, report.retired, report.duplicates) == (1, 2, 0, ())
    assert state(workspace)[1] == chunks
    assert {document.path for document in workspace.store.all(Document)} == {
        str(corpus / "en.md"),
        str(corpus / "zz.md"),
    }


def test_a_copy_in_another_folder_leaves_the_original_where_it_is(corpus, tmp_path, ingest):
    """A copy outside the ingested folder is a duplicate as long as the original is there."""
    ingest(corpus)
    copy = tmp_path / "copy.md"
    copy.write_bytes(ZH.encode())
    report = ingest(copy)
    assert report.duplicates == ((str(copy), str(corpus / "zh.md")),)
    (corpus / "zh.md").unlink()
    assert ingest(copy).moved == 1


def test_files_that_change_places(workspace, corpus, ingest, state):
    """Two files that swap their names are two moves, no change."""
    ingest(corpus)
    chunks = state(workspace)[1]
    (corpus / "zh.md").write_bytes(EN.encode())
    (corpus / "en.md").write_bytes(ZH.encode())
    report = ingest(corpus)
    assert (report.moved, report.read, report.retired) == (2, 0, 0)
    assert state(workspace)[1] == chunks


def test_a_copy_of_an_old_version_is_a_document_of_its_own(workspace, corpus, ingest):
    """The old version's chunks belong to the new version now; brought back elsewhere it takes none of them away."""
    ingest(corpus)
    (corpus / "zh.md").write_bytes(ZH.replace("47", "74").encode())
    ingest(corpus)
    kept = {chunk.id for chunk in workspace.store.all(Chunk)}
    (corpus / "old.md").write_bytes(ZH.encode())
    report = ingest(corpus)
    assert (report.documents, report.chunks) == (3, 5)
    assert kept < {chunk.id for chunk in workspace.store.all(Chunk)}
    assert ingest(corpus).unchanged == 3


def test_repeated_text_gets_ids_of_its_own(folder, ingest):
    """The same section twice in a document is two chunks."""
    (folder / "a.md").write_text("# T\n\n## S\n\nSame.\n\n## S\n\nSame.\n")
    assert ingest(folder).chunks == 2


def test_a_long_chunk_is_stored_with_its_passages(workspace, folder, ingest):
    """Sections and passages each hold the text once; what did not change keeps both ids."""
    rules = [f"规则{n}如下。\n\n" + "".join(f"第{n}条第{m}款规定罚款{m}万元。" for m in range(18)) for n in range(3)]
    (folder / "long.md").write_text("# 条例\n\n" + "\n\n".join(rules), encoding="utf-8")
    report = ingest(folder)
    store = workspace.store
    sections, passages = store.all(Chunk, SECTIONS), store.all(Chunk, PASSAGES)
    assert (report.chunks, report.passages) == (len(sections), len(passages)) == (1, 3)
    assert {passage.section for passage in passages} == {sections[0].id}
    assert "".join("".join(passage.text for passage in passages).split()) == "".join(sections[0].text.split())
    document = store.all(Document)[0]
    assert all(passage.text == document.text[passage.start : passage.end] for passage in passages)

    (folder / "long.md").write_text("# 条例\n\n前言。\n\n" + "\n\n".join(rules[:2]), encoding="utf-8")
    ingest(folder)
    (section,) = store.all(Chunk, SECTIONS)
    changed = store.all(Chunk, PASSAGES)
    assert section.id != sections[0].id
    assert {passage.section for passage in changed} == {section.id}
    assert len({passage.id for passage in changed} & {passage.id for passage in passages}) == 1


def test_other_settings_cut_again(workspace, corpus, ingest):
    """A document is read again when the settings it was read under have changed; chunks that stay keep their ids."""
    (corpus / "long.txt").write_bytes("".join(f"第{n}条规定适用于所有员工。" for n in range(60)).encode())
    before = ingest(corpus)
    ids = {chunk.id for chunk in workspace.store.all(Chunk)}
    report = ingest(corpus, target_tokens=100, max_tokens=150)
    assert (report.read, report.changed, report.unchanged) == (3, 0, 0)
    assert report.chunks > before.chunks
    assert len(ids & {chunk.id for chunk in workspace.store.all(Chunk)}) == 3
    assert ingest(corpus).chunks == before.chunks
    assert {chunk.id for chunk in workspace.store.all(Chunk)} == ids


def test_report_lines():
    """Counts, failures with their cure, duplicates and notes, cut short where they are many."""
    report = IngestReport(
        3, 1, 4, 1, 1, (("/b.md", "/a.md"),), (FailedFile("/x.pdf", "EMPTY", "/x.pdf: the file is empty."),),
        ((".png", 2),), 7, 30, 9, 30, 2, (("zh", 20), ("en", 10)), tuple((f"/{n}.txt", "guessed") for n in range(25)),
    )  # fmt: skip
    lines = report.lines()
    assert lines[:6] == [
        "documents: 3 read (1 of them changed), 4 unchanged (1 of them moved), 1 retired, their files being gone,"
        " 1 failed",
        "in the workspace: 7 documents, 30 chunks (20 zh, 10 en), 9 new; 30 passages to search",
        "copies: 2 of the chunks only say what others say, and are further sources of it",
        "files of other kinds left alone: 2 .png",
        "EMPTY: /x.pdf: the file is empty.",
        "same as /a.md, read once: /b.md",
    ]
    assert lines[6] == "note: /0.txt: guessed"
    assert lines[-1] == "... and 5 more; --json shows all"


BIG5 = "條例規定".encode("big5")


def test_a_given_encoding_is_remembered(folder, workspace, ingest):
    """A file that was read in a given encoding is not read otherwise by a later run that gives none."""
    (folder / "a.txt").write_bytes(BIG5)
    assert ingest(folder, encoding="Big5").read == 1
    assert (ingest(folder).unchanged, workspace.store.all(Document)[0].text) == (1, "條例規定")
    report = ingest(folder, target_tokens=100)
    assert (report.read, workspace.store.all(Document)[0].text) == (1, "條例規定")
    assert ingest(folder, encoding="cp950").read == 1


def test_an_encoding_is_remembered_while_the_file_is_away(folder, workspace, ingest):
    """The same bytes, deleted and put back, are read as they were."""
    (folder / "a.txt").write_bytes(BIG5)
    ingest(folder, encoding="big5")
    (folder / "a.txt").unlink()
    ingest(folder)
    (folder / "b.txt").write_bytes(BIG5)
    assert ingest(folder).read == 1
    assert workspace.store.all(Document)[0].text == "條例規定"


def test_an_encoding_is_nothing_to_files_that_are_not_text(folder, ingest, canvas_pdf):
    """A PDF is not read again because an encoding is given for the text files beside it."""
    (folder / "a.pdf").write_bytes(canvas_pdf([(50, 500, 10, "The fine is 84 thousand crowns.")]))
    (folder / "规定.txt").write_bytes("条例规定".encode("gb18030"))
    ingest(folder)
    report = ingest(folder, encoding="gb18030")
    assert (report.read, report.unchanged) == (1, 1)
