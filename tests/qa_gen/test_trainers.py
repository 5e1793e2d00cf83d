"""`kb export` as a whole: where it writes, what it replaces, what it refuses."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kb.cli import app
from kb.errors import UsageError, WorkspaceError
from kb.prompt import Prompts
from kb.qa_gen.formats import FORMATS
from kb.qa_gen.trainers import chosen, run

OWN = Prompts()


@pytest.fixture
def out(tmp_path):
    """Where to export."""
    return tmp_path / "out"


def files_of(folder):
    """Contents by path."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_each_format_has_a_folder_that_says_what_is_in_it(awkward):
    """Beside the workspace by default; README and manifest count rows, LLaMA-Factory's index names files."""
    report = run(awkward, ["llama-factory", "firefly", "llama-factory"], awkward.exports, OWN)
    assert [Path(one.folder) for one in report.exports] == [awkward.root / "exports" / "llama-factory",
                                                            awkward.root / "exports" / "firefly"]  # fmt: skip
    files = files_of(awkward.exports)
    assert {name.partition("/")[2] for name in files} == {
        "README.md", "manifest.json", "dataset_info.json", "sft-train.json", "preference-train.json",
        "sft-train.jsonl", "preference-train.jsonl",
    }  # fmt: skip
    counts = {"sft-train.json": 10, "preference-train.json": 5}
    assert json.loads(files["llama-factory/manifest.json"]) == {"kb export": "llama-factory", "rows": counts}
    assert report.exports[0].rows == counts
    assert b"| sft-train.json | 10 |" in files["llama-factory/README.md"]
    assert {info["file_name"] for info in json.loads(files["llama-factory/dataset_info.json"]).values()} == set(counts)
    assert "firefly: sft-train.jsonl 10, preference-train.jsonl 5" in report.lines()[1]


def test_a_validation_split_has_files_of_its_own(awkward, out):
    """Named by split in the index and in the README's head; together they hold all rows."""
    report = run(awkward, ["llama-factory"], out, OWN, 0.5)
    assert sum(report.exports[0].rows.values()) == 15
    info = json.loads((out / "llama-factory" / "dataset_info.json").read_text(encoding="utf-8"))
    assert info["kb_sft_validation"]["file_name"] == "sft-validation.json"
    assert info["kb_preference_validation"]["ranking"]
    head = (out / "llama-factory" / "README.md").read_text(encoding="utf-8").split("---")[1]
    assert "  - split: validation\n    path: sft-validation.json\n" in head


def test_a_kind_without_rows_has_no_file(awkward, out):
    """An empty file is no data set: loaders stop at it."""
    awkward.store.sql("DELETE FROM preference_pairs")
    run(awkward, ["llama-factory"], out, OWN)
    assert not list(out.rglob("preference*"))
    assert b"preference" not in (out / "llama-factory" / "dataset_info.json").read_bytes()


def test_an_export_is_replaced_whole(awkward, out):
    """What the earlier one had and this one has not is gone, and nothing lies beside the folder."""
    run(awkward, ["firefly"], out, OWN, 0.5)
    assert (out / "firefly" / "sft-validation.jsonl").exists()
    run(awkward, ["firefly"], out, OWN)
    assert {*files_of(out)} == {
        f"firefly/{name}" for name in ("README.md", "manifest.json", "sft-train.jsonl", "preference-train.jsonl")
    }
    assert [path.name for path in out.iterdir()] == ["firefly"]


def test_a_broken_off_export_changes_nothing(awkward, out, monkeypatch):
    """The folder is that of the export before, and nothing half written lies beside it."""
    run(awkward, ["firefly"], out, OWN)
    before = files_of(out)
    awkward.store.sql("DELETE FROM preference_pairs")
    monkeypatch.setattr("kb.qa_gen.folders.card", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run(awkward, ["firefly"], out, OWN)
    assert files_of(out) == before


@pytest.mark.parametrize("manifest", [None, "no JSON", "[]", '{"kb export": "alpaca"}', '{"rows": 3}'])
def test_a_folder_of_someone_elses_is_left_alone(awkward, out, manifest):
    """Whatever has the name and is not this export; nothing else is written either."""
    mine = out / "firefly" / "thesis.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("论文", encoding="utf-8")
    if manifest:
        (out / "firefly" / "manifest.json").write_text(manifest, encoding="utf-8")
    with pytest.raises(UsageError, match="is no export of kb"):
        run(awkward, ["alpaca", "firefly"], out, OWN)
    assert mine.read_text(encoding="utf-8") == "论文"
    assert not (out / "alpaca").exists()


def test_an_empty_folder_is_taken(awkward, out):
    """Someone made it for the export."""
    (out / "firefly").mkdir(parents=True)
    run(awkward, ["firefly"], out, OWN)
    assert (out / "firefly" / "manifest.json").exists()


def test_without_rows_the_cure_is_named(awkward, out):
    """No pair of a training question is left; the folder is not made."""
    awkward.store.sql("DELETE FROM qa_pairs WHERE id != 'pair_stray'")
    with pytest.raises(WorkspaceError, match="kb generate-qa"):
        run(awkward, ["alpaca"], out, OWN)
    assert not (out).exists()


def test_an_unknown_format_is_answered_with_the_known(awkward):
    """The nearest where there is one, and all of them."""
    with pytest.raises(UsageError, match=r"'llamafactory'; did you mean 'llama-factory'\? Known: alpaca, .*, all"):
        chosen(["alpaca", "llamafactory"])
    with pytest.raises(UsageError, match=r"'xyz'\. Known: alpaca"):
        chosen(["xyz"])
    assert [form.name for form in chosen(["trl", "all"])] == [*FORMATS]


def test_answers_that_are_all_dates_are_said(awkward, out):
    """From JSON, `datasets` reads such a column as moments; one other answer keeps it as texts."""
    awkward.store.sql("DELETE FROM preference_pairs WHERE id NOT IN ('pref_1', 'pref_3')")
    report = run(awkward, ["alpaca", "ms-swift"], out, OWN)
    assert [one.moments for one in report.exports] == [("preference-train.json: chosen",), ()]
    assert any("preference-train.json: chosen: nothing but dates" in line for line in report.lines())


@pytest.mark.slow
def test_the_command_prints_folders_or_one_document(awkward, out):
    """By default into the workspace, else where --out says; a row left out is said."""
    said = CliRunner().invoke(app, ["export", "--to", "messages", "--workspace", str(awkward.root)])
    assert said.exit_code == 0
    assert said.stdout.startswith(f"{awkward.exports / 'messages'}: sft-train.jsonl 10, preference-train.jsonl 5")
    awkward.store.sql("UPDATE questions SET text = ? WHERE id = 'qst_1probe'", "谁设计了星河?")
    words = ["export", "--to", "alpaca", "--json", "--out", str(out), "--workspace", str(awkward.root)]
    found = json.loads(CliRunner().invoke(app, words).stdout)
    assert found["left_out"] == 1
    assert found["exports"][0]["rows"] == {"sft-train.json": 9, "preference-train.json": 5}
    assert (out / "alpaca" / "sft-train.json").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["alpaca", "trl"], "formats are named with --to: kb export --to alpaca --to trl"),
        (["--to", "trl", "--gguf", "f16"], "leave out what is for the model's export"),
        (["--validation", "0.1"], "name a trainer with --to"),
    ],
)
def test_what_is_for_rows_and_what_for_the_model_is_not_mixed(awkward, words, said):
    """A format without --to is answered with the command that was meant."""
    result = CliRunner().invoke(app, ["export", *words, "--workspace", str(awkward.root)])
    assert isinstance(result.exception, UsageError)
    assert said in str(result.exception)
