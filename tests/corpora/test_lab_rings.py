"""Replay and rings of the lab model: what is measured is never replayed, and the evaluation takes the file as it is."""

from collections import Counter
from importlib import resources
from pathlib import Path

import pytest

from kb.corpora import lab_tasks as tasks
from kb.corpora.lab_rings import REPLAY_ROWS, replay_rows, ring_rows, split_known, write
from kb.corpora.world import LANGUAGES
from kb.evaluate.probes import ring_probes
from kb.workspace import read_jsonl

LAB = Path(str(resources.files("kb.corpora"))) / "lab"


def test_the_known_world_is_split_by_entity():
    """Each known entity may either be replayed or measured; both halves hold every kind."""
    for language in LANGUAGES:
        replayed, measured = split_known(language)
        assert not {entity.name for entity in replayed} & {entity.name for entity in measured}
        assert len(replayed) + len(measured) == len(tasks.known_world(language))
        assert {entity.kind for entity in replayed} == {entity.kind for entity in measured}


@pytest.mark.slow
def test_replay_never_repeats_what_the_ring_measures():
    """No measured entity's name stands in a replay row, and no question or passage of a ring does."""
    rows = ["\n".join(turn["content"] for turn in row["messages"]) for row in replay_rows()]
    text = "\n".join(rows)
    assert len(rows) == REPLAY_ROWS
    for language in LANGUAGES:
        for entity in split_known(language)[1]:
            assert entity.name not in text
    for row in ring_rows():
        assert row["question"] not in text or row["ring"] == "reading"
        assert not row.get("passages") or row["passages"] not in text


@pytest.mark.slow
def test_nothing_of_the_handbook_is_replayed_or_measured():
    """The handbook's entities stand in neither file: they are what is to be learnt."""
    rings = "\n".join(row["question"] + row.get("passages", "") for row in ring_rows())
    replay = "\n".join(turn["content"] for row in replay_rows() for turn in row["messages"])
    for language in LANGUAGES:
        for entity in tasks.handbook_world(language):
            assert entity.name not in rings
            assert entity.name not in replay


@pytest.mark.slow
def test_the_rings_are_probes(tmp_path):
    """The evaluation reads the file: 48 known facts, 60 passages and 60 strangers in each language, all different."""
    write(tmp_path)
    probes = ring_probes(tmp_path / "rings.jsonl")
    assert Counter((probe.kind, probe.language) for probe in probes) == {
        (ring, language): count
        for ring, count in (("known", 48), ("reading", 60), ("never", 60))
        for language in LANGUAGES
    }
    assert all(probe.gold in probe.passages for probe in probes if probe.kind == "reading")


@pytest.mark.slow
def test_the_committed_files_are_what_the_code_writes(tmp_path):
    """replay.jsonl and rings.jsonl beside the lab model are those of the code as it stands."""
    write(tmp_path)
    for name in ("replay.jsonl", "rings.jsonl"):
        assert read_jsonl(LAB / name) == read_jsonl(tmp_path / name), name
