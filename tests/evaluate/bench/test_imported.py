"""Public benchmarks from the files that they are distributed as."""

import csv
import hashlib
import json

import pytest

from kb.errors import UsageError
from kb.evaluate.bench.imported import import_files, items_of, listed
from kb.evaluate.bench.sets import GOLD, SUBJECT
from kb.evaluate.bench.tasks import spread
from kb.workspace import Workspace

QUESTION = ("壁胸膜的分部不包括", "肋胸膜", "肺胸膜", "膈胸膜", "胸膜顶", "B")
TARGETS = {"No.": 0, "Yes.": 1, "Maybe.": 0}
FILES = {
    "mmlu": ("mmlu.jsonl", {"question": "Q?", "subject": "anatomy", "choices": list("wxyz"), "answer": 2}, 2),
    "arc": ("arc.jsonl", {"question": "Q?", "choices": {"text": ["x", "y"], "label": ["1", "2"]}, "answerKey": "2"}, 1),
    "hellaswag": (
        "h.jsonl",
        {"activity_label": "a", "ctx_a": "b", "ctx_b": "c", "endings": list("wxyz"), "label": "3"},
        3,
    ),
    "truthfulqa": ("t.json", {"question": "Q?", "mc1_targets": TARGETS}, 0),
    "gsm8k": ("g.jsonl", {"question": "Q?", "answer": "2 + 2.\n#### 4"}, None),
}
"""A file's name, a row in it, and the place of the right choice."""


@pytest.fixture
def place(tmp_path):
    """An empty workspace."""
    return Workspace(tmp_path / ".kb", create=True)


@pytest.mark.parametrize("name", FILES)
def test_rows_as_they_are_distributed(place, tmp_path, name):
    """Every form is read, the right choice is known, and the file's hash and licence are kept."""
    file, row, gold = FILES[name]
    path = tmp_path / file
    path.write_text(json.dumps([row] if file.endswith(".json") else row), encoding="utf-8")
    about = import_files(place, name, [path], "MIT")
    (item,) = items_of(place, name)
    assert item.get(GOLD) == gold
    assert (about.items, about.licence, about.sources[0].file) == (1, "MIT", file)
    assert about.sources[0].sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert listed(place) == [about]


def test_the_other_forms_of_arc_and_truthfulqa(place, tmp_path):
    """The authors' ARC has question and choices in one object, the hub's TruthfulQA has two lists."""
    stem = {"stem": "Q?", "choices": [{"text": "x", "label": "A"}, {"text": "y", "label": "B"}]}
    arc, truth = tmp_path / "arc.jsonl", tmp_path / "t.jsonl"
    arc.write_text(json.dumps({"question": stem, "answerKey": "B"}), encoding="utf-8")
    targets = {"choices": ["x", "y"], "labels": [0, 1]}
    truth.write_text(json.dumps({"question": "Q?", "mc1_targets": targets}), encoding="utf-8")
    import_files(place, "arc", [arc], "")
    import_files(place, "truthfulqa", [truth], "")
    assert [(item["question"], item[GOLD]) for item in items_of(place, "arc")] == [("Q?", 1)]
    assert items_of(place, "truthfulqa")[0]["mc1_targets"] == {"choices": ["y", "x"], "labels": [1, 0]}


@pytest.mark.parametrize(
    ("name", "header"), [("ceval", "id question A B C D answer"), ("cmmlu", "id Question A B C D Answer"), ("mmlu", "")]
)
def test_csv_of_a_subject(place, tmp_path, name, header):
    """The subject is the file's name; MMLU's own files have no line of names."""
    files = [tmp_path / name for name in ("anatomy.csv", "law_val.csv")]
    for file in files:
        with file.open("w", encoding="utf-8", newline="") as text:
            writer = csv.writer(text)
            writer.writerows([header.split(), (0, *QUESTION)] if header else [QUESTION])
    about = import_files(place, name, files, "")
    assert about.subjects == 2
    assert about.licence == "unknown"
    assert [(item[SUBJECT], item[GOLD]) for item in items_of(place, name)] == [("anatomy", 1), ("law", 1)]


def test_parquet(place, tmp_path):
    """As the hub distributes most of them."""
    import pyarrow
    from pyarrow import parquet

    file = tmp_path / "arc.parquet"
    parquet.write_table(pyarrow.Table.from_pylist([FILES["arc"][1]]), file)
    assert import_files(place, "arc", [file], "").items == 1


@pytest.mark.parametrize(
    ("name", "row", "said"),
    [
        ("arc", {"frage": "?"}, "row 1 is no item of arc. It needs question, choices .*; it has frage"),
        ("mmlu", {"question": "?", "choices": list("wxyz"), "answer": 7}, "row 1 is no item of mmlu"),
        ("gsm8k", {"question": "?", "answer": "4"}, "does not end in ####"),
        ("piqa", {}, "expected mmlu, arc, .*, got 'piqa'"),
    ],
)
def test_a_wrong_file_gets_one_line(place, tmp_path, name, row, said):
    """It names the row, what the benchmark needs and what is there; nothing is stored."""
    file = tmp_path / "wrong.jsonl"
    file.write_text(json.dumps(row), encoding="utf-8")
    with pytest.raises(UsageError, match=said):
        import_files(place, name, [file], "")
    assert listed(place) == []


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [("a.xlsx", "x", "ends in .csv"), ("a.jsonl", "{", "cannot be read"), ("a.csv", "", "there are no rows")],
)
def test_what_is_no_file_of_rows(place, tmp_path, file, text, said):
    """A suffix that means nothing, broken JSON and an empty file are told apart."""
    (tmp_path / file).write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=said):
        import_files(place, "arc", [tmp_path / file], "")


def test_a_limit_takes_from_the_whole_file():
    """Files are sorted by subject, so the first items would be of one."""
    assert spread([{"n": n} for n in range(10)], 3) == [{"n": 0}, {"n": 3}, {"n": 6}]
    assert len(spread([{}] * 10, 0)) == len(spread([{}] * 10, 99)) == 10
