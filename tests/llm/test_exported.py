"""How kb knows a model again that `kb export` wrote."""

import pytest

from kb.config import Settings
from kb.llm.exported import Exported, carries_runs, exported, write_exported
from kb.session import Session

MADE = Exported("one", "k", "i")


def test_an_export_is_known_by_its_note(tmp_path):
    """And has its run in it already; any other folder, a server and a hub id are no exports."""
    assert carries_runs(str(tmp_path)) and carries_runs("Qwen/Qwen3-4B") and not carries_runs("openai:one")
    write_exported(tmp_path, MADE)
    assert exported(str(tmp_path)) == MADE
    assert not carries_runs(str(tmp_path))


@pytest.mark.parametrize("text", ["[]", "{}", '{"run": "one", "key": "k", "identity": "i"}', "{"])
def test_a_manifest_of_another_kind_is_none(tmp_path, text):
    """Whoever wrote it."""
    (tmp_path / "manifest.json").write_text(text, encoding="utf-8")
    assert exported(str(tmp_path)) is None


@pytest.mark.parametrize(("values", "four_bits"), [({}, False), ({"load_in_4bit": True}, True)])
def test_an_export_is_read_as_it_was_written(tmp_path, values, four_bits):
    """Not in 4 bits again by default, which is for bases; a setting that says so is heeded."""
    write_exported(tmp_path, MADE)
    session = Session(tmp_path, Settings(values={"model": values}), False)
    assert session.model(str(tmp_path), None)[0].load_in_4bit is four_bits
    assert session.model("lab", None)[0].load_in_4bit
