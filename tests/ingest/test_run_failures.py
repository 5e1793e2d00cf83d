"""`kb ingest`: files that cannot be read, runs that are cut off."""

import io
import os

import pypdf
import pytest

from kb.errors import UsageError
from kb.ingest import read as reading
from kb.ingest import survey
from kb.ingest.config import IngestConfig
from kb.ingest.report import FailedFile
from kb.ingest.run import run
from kb.records import Document
from kb.workspace import Workspace

NOBODY = 65534
EN = "# Rules\n\n## Fines\n\nThe maximum fine is 84 thousand crowns.\n"


def test_bad_files_stop_nothing(workspace, corpus, canvas_pdf, ingest):
    """Each bad file is recorded with its reason, the good ones beside it are read; a cured file clears its record."""
    good = canvas_pdf([(50, 500, 10, "The fine is 84 thousand crowns.")])
    bad = {"cut.pdf": good[:200], "old.doc": b"\xd0\xcf\x11\xe0", "a.docx": good, "zero.md": b"", "zero.pdf": b""}
    for name, data in bad.items():
        (corpus / name).write_bytes(data)
    report = ingest(corpus)
    assert report.documents == 2
    assert [(failed.path.rsplit("/")[-1], failed.status) for failed in report.failed] == [
        ("a.docx", "UNSUPPORTED"),
        ("cut.pdf", "CORRUPT"),
        ("old.doc", "UNSUPPORTED"),
        ("zero.md", "EMPTY"),
        ("zero.pdf", "EMPTY"),
    ]
    assert len(workspace.store.failures("ingest")) == 5
    (corpus / "cut.pdf").write_bytes(good)
    (corpus / "old.doc").unlink()
    (corpus / "zero.md").write_bytes(EN.encode())
    report = ingest(corpus)
    assert (report.read, len(report.failed)) == (1, 1)
    assert report.duplicates == (
        (str(corpus / "a.docx"), str(corpus / "cut.pdf")),
        (str(corpus / "zero.md"), str(corpus / "en.md")),
    )
    assert [item for item, _, _ in workspace.store.failures("ingest")] == [str(corpus / "zero.pdf")]


def test_without_recursion_the_record_of_a_file_that_is_gone_goes(workspace, corpus, ingest):
    """A failed file that was deleted is forgotten by a run that looks at its folder only."""
    (corpus / "坏.pdf").write_bytes(b"")
    ingest(corpus)
    (corpus / "坏.pdf").unlink()
    ingest(corpus, recursive=False)
    assert workspace.store.failures("ingest") == []


def test_a_version_that_cannot_be_read_leaves_the_old_one(workspace, corpus, ingest, state):
    """A file that was damaged keeps its last good version until it is cured."""
    ingest(corpus)
    before = state(workspace)[:2]
    (corpus / "zh.md").write_bytes(b"\0\1\2\3" * 50)
    report = ingest(corpus)
    assert report.failed[0].status == "CORRUPT"
    assert report.failed[0].message.endswith("Its earlier version stays in use.")
    assert state(workspace)[:2] == before


def test_a_file_that_changes_while_it_is_read_is_not_stored(corpus, monkeypatch, ingest):
    """What is stored under a hash was parsed from the bytes with that hash."""
    real = survey.file_sha256
    monkeypatch.setattr(survey, "file_sha256", lambda path: real(path).replace("a", "b"))
    report = ingest(corpus)
    assert {failed.status for failed in report.failed} == {"UNREADABLE"}
    assert report.documents == 0


@pytest.mark.parametrize("at", range(4))
def test_a_run_that_was_killed_is_given_again(workspace, corpus, tmp_path, monkeypatch, at, ingest, state):
    """Stopped before any document, a run that is given again ends as one that was never stopped."""
    (corpus / "three.txt").write_text("One more document.")
    (corpus / "bad.pdf").write_bytes(b"")
    real, calls = reading.parse, []

    def stop(path, *options):
        calls.append(path)
        if len(calls) > at:
            raise KeyboardInterrupt
        return real(path, *options)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(reading, "parse", stop)
        ingest(corpus)
    assert workspace.store.count(Document) == max(at - 1, 0)
    ingest(corpus)
    whole = Workspace(tmp_path / "whole", create=True)
    ingest(corpus, into=whole)
    assert state(workspace) == state(whole)
    whole.store.close()


def test_targets_that_make_no_sense(corpus, ingest):
    """A target above the maximum is a usage error with both values."""
    with pytest.raises(UsageError, match="target_tokens 900 has to be between 1 and max_tokens 500"):
        ingest(corpus, max_tokens=500)


@pytest.mark.parametrize("limit", [{"jobs": -2}, {"seconds": 0}, {"memory_mb": 0}])
def test_limits_that_make_no_sense(limit, corpus, ingest):
    """They are a usage error, before anything is read."""
    with pytest.raises(UsageError, match="jobs has to be -1 or more, seconds and memory_mb 1 or more"):
        ingest(corpus, **limit)


def test_a_parser_error_without_status_is_not_hidden(corpus, monkeypatch, ingest):
    """Only errors about the document are recorded as the document's; a fault of kb stops the run."""

    def broken(path, *options):
        raise ZeroDivisionError

    monkeypatch.setattr(reading, "parse", broken)
    with pytest.raises(ZeroDivisionError):
        ingest(corpus)


@pytest.fixture
def ordinary(tmp_path):
    """Be a user whom permissions bind, in a folder of that user's own: root may read everything."""
    place = tmp_path / "home"
    place.mkdir()
    if os.geteuid():
        yield place
        return
    for parent in (place, *place.parents):
        if parent.stat().st_mode & 0o011 != 0o011:
            parent.chmod(parent.stat().st_mode | 0o011)
    os.chown(place, NOBODY, NOBODY)
    os.seteuid(NOBODY)
    try:
        yield place
    finally:
        os.seteuid(0)


def test_what_may_not_be_read_is_said(ingest, ordinary):
    """A file and a folder without permission are a line each; the others are read; with it they are read too."""
    (ordinary / "shut").mkdir()
    (ordinary / "open.md").write_text(EN)
    for name in ("shut.md", "shut/inside.md"):
        (ordinary / name).write_text(f"{EN}\n{name}")
    (ordinary / "shut.md").chmod(0)
    (ordinary / "shut").chmod(0)
    place = Workspace(ordinary / "workspace", create=True)
    report = ingest(ordinary, into=place)
    assert (report.read, [(failed.path, failed.status) for failed in report.failed]) == (
        1, [(str(ordinary / "shut"), "UNREADABLE"), (str(ordinary / "shut.md"), "UNREADABLE")],
    )  # fmt: skip
    assert all("Permission denied. Check its permissions." in failed.message for failed in report.failed)
    (ordinary / "shut.md").chmod(0o600)
    (ordinary / "shut").chmod(0o700)
    report = ingest(ordinary, into=place)
    assert (report.read, report.failed) == (2, ())
    place.store.close()


def test_a_folder_that_cannot_be_listed_retires_nothing(workspace, corpus, monkeypatch, ingest):
    """What kb may not look at is not taken for gone; the folder is reported."""
    ingest(corpus)

    def refused(root, onerror):
        onerror(PermissionError(13, "Permission denied", str(root)))
        return iter(())

    with monkeypatch.context() as patch:
        patch.setattr("kb.ingest.files.os.walk", refused)
        (corpus / "zh.md").unlink()
        report = ingest(corpus)
    assert (report.retired, report.documents) == (0, 2)
    assert report.failed == (
        FailedFile(str(corpus), "UNREADABLE", f"{corpus}: Permission denied. Check its permissions."),
    )
    report = ingest(corpus)
    assert (report.retired, report.failed, workspace.store.failures("ingest")) == (1, (), [])


@pytest.mark.slow
def test_a_password_is_needed_once(workspace, folder, canvas_pdf):
    """With it the file is read, in a process of its own; unchanged it is not read again. It is kept nowhere."""
    writer = pypdf.PdfWriter(io.BytesIO(canvas_pdf([(50, 500, 12, "The fine is 84 crowns.")])))
    writer.encrypt("geheim-4711", algorithm="AES-256")
    writer.write(folder / "rules.pdf")
    config = IngestConfig()
    report = run([folder], config, workspace, show=False)
    assert [failed.status for failed in report.failed] == ["PASSWORD_NEEDED"]
    report = run([folder], config, workspace, show=False, passwords=["wrong", "geheim-4711"])
    assert (report.read, report.failed) == (1, ())
    report = run([folder], config, workspace, show=False)
    assert (report.unchanged, report.failed) == (1, ())
    workspace.store.close()
    assert not any(b"geheim-4711" in file.read_bytes() for file in workspace.root.rglob("*") if file.is_file())
