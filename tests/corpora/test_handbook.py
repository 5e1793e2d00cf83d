"""The bundled handbook: what facts.jsonl says is what the documents say, and a command writes both again."""

import filecmp
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from kb.corpora.handbook import bundled, compositions, fact_row, unstated_rows, write
from kb.corpora.lab_tasks import handbook_world
from kb.text.canonical import canonical
from kb.text.similar import locate
from kb.workspace import read_jsonl


@pytest.fixture(scope="module")
def facts():
    """The lines of the bundled facts.jsonl."""
    return read_jsonl(bundled() / "facts.jsonl")


def files(folder):
    """Relative paths of all files below a folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_the_handbook_has_forty_documents_of_all_formats_in_both_languages():
    """Four documents of every format in either language, and nothing else but the two lists of questions."""
    found = files(bundled())
    assert Counter(Path(name).suffix for name in found if name.startswith("docs/en/")) == dict.fromkeys(
        (".pdf", ".docx", ".pptx", ".txt", ".md"), 4
    )
    assert [name.replace("/en/", "/zh/") for name in found if "/en/" in name] == [n for n in found if "/zh/" in n]
    assert [name for name in found if not name.startswith("docs/")] == ["facts.jsonl", "unanswerable.jsonl"]


def test_every_fact_of_every_document_has_its_line(facts):
    """facts.jsonl holds each stated fact once, with six wordings in either family."""
    stated = [
        (name, fact.entity.name, fact.attribute.name) for name, _, document in compositions() for fact in document.facts
    ]
    assert Counter((row["file"], row["entity"], row["attribute"]) for row in facts) == Counter(stated)
    assert len(facts) == len(set(stated)) == 300
    assert {(len(row["questions_a"]), len(row["questions_b"])) for row in facts} == {(6, 6)}


def test_the_text_files_of_the_handbook_say_what_their_facts_say(facts):
    """The evidence of each fact in a text or Markdown file stands in that file, and holds the answer."""
    encodings = {name: encoding for name, encoding, _ in compositions()}
    seen = 0
    for row in facts:
        path = bundled() / "docs" / row["file"]
        if path.suffix in (".txt", ".md"):
            text = path.read_text(encoding=encodings[row["file"]] if path.suffix == ".txt" else "utf-8")
            assert locate(row["evidence"], text), row["evidence"]
            assert row["answer"] in row["evidence"]
            seen += 1
    assert seen > 100


@pytest.mark.slow
def test_no_trained_wording_is_a_probe_of_another_fact(facts):
    """Over the whole handbook, the two families of question wordings share no question."""
    trained = {canonical(question) for row in facts for question in row["questions_a"]}
    held_out = {canonical(question) for row in facts for question in row["questions_b"]}
    assert len(trained) == len(held_out) == 1800
    assert not trained & held_out


def test_unanswerable_questions_ask_what_no_document_states(facts):
    """The sixth attribute of each entity, and never a stated one."""
    rows = read_jsonl(bundled() / "unanswerable.jsonl")
    stated = {(row["entity"], row["attribute"]) for row in facts}
    assert rows == list(unstated_rows())
    assert len(rows) == sum(len(handbook_world(language)) for language in ("en", "zh"))
    assert not {(row["entity"], row["attribute"]) for row in rows} & stated


def test_a_fact_row_is_the_truth_about_a_fact():
    """A line of facts.jsonl from the fact it describes."""
    name, _, document = next(compositions())
    fact = document.facts[0]
    row = fact_row(name, fact)
    assert row["statement"] == fact.entity.state(fact.attribute)
    assert row["answer"] == fact.entity.values[row["attribute"]]
    assert row["questions_b"][5] == fact.entity.ask(fact.attribute, "b", 5)


def test_the_committed_facts_are_what_the_code_writes(facts):
    """The lists of facts and of unanswerable questions are those of the code as it stands."""
    from kb.corpora.documents import as_lines

    written = []
    for name, _, document in compositions():
        sections = map(as_lines, document.sections) if name.endswith(".txt") else document.sections
        written += [fact_row(name, fact) for section in sections for fact in section.facts]
    assert written == facts


@pytest.mark.slow
def test_the_handbook_regenerates_byte_for_byte(tmp_path):
    """Writing it again gives the committed files, and replaces what was in the folder."""
    (tmp_path / "docs" / "en").mkdir(parents=True)
    (tmp_path / "docs" / "en" / "99.txt").write_text("left over")
    assert write(tmp_path) == 300
    assert files(tmp_path) == files(bundled())
    _, differ, strange = filecmp.cmpfiles(bundled(), tmp_path, files(bundled()), shallow=False)
    assert (differ, strange) == ([], [])


@pytest.mark.slow
@pytest.mark.parametrize(("zone", "seed"), [("Asia/Shanghai", "1"), ("America/Los_Angeles", "2")])
def test_the_handbook_does_not_depend_on_time_zone_or_hash_seed(zone, seed, tmp_path):
    """Another process, with another order of sets and another clock, writes the same bytes."""
    env = os.environ | {"TZ": zone, "PYTHONHASHSEED": seed, "PYTHONSAFEPATH": "1"}
    subprocess.run([sys.executable, "-m", "kb.corpora.handbook", str(tmp_path)], env=env, check=True)
    _, differ, strange = filecmp.cmpfiles(bundled(), tmp_path, files(bundled()), shallow=False)
    assert (differ, strange) == ([], [])
