"""A replay file: what is drawn, what is only watched, and rows of another form."""

import json
import random

import pytest

from kb.errors import ConfigError
from kb.finetune.replay_file import held_out_replay, replay_rows


def write_chats(file, *rows):
    """Questions and their answers as the chats of a replay file."""
    chats = [[{"role": "user", "content": a}, {"role": "assistant", "content": b}] for a, b in rows]
    file.write_text("".join(json.dumps({"messages": chat}) + "\n" for chat in chats), encoding="utf-8")
    return file


def write_replay(file, count):
    """Chats that are unlike any other row."""
    return write_chats(file, *((f"old {n}", f"旧{n}") for n in range(count)))


def test_what_is_held_out_of_replay_is_about_a_tenth_and_never_drawn(tmp_path):
    """However many rows are asked for; which ones they are depends on the row alone, not on its place in the file."""
    file = write_replay(tmp_path / "r.jsonl", 400)
    held, drawn = held_out_replay(file), replay_rows(file, 1000, random.Random(1))
    assert 25 <= len(held) <= 55
    assert len(held) + len(drawn) == 400
    assert {row.messages for row in held}.isdisjoint(row.messages for row in drawn)
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    file.write_text("".join(reversed(lines)), encoding="utf-8")
    assert [row.messages for row in held_out_replay(file)] == [row.messages for row in reversed(held)]


def test_a_replay_row_keeps_the_turns_before_its_answer(tmp_path):
    """System message, user, assistant, user: all prompt; the last answer is trained."""
    file = tmp_path / "chat.jsonl"
    roles = ("system", "user", "assistant", "user", "assistant")
    turns = [{"role": role, "content": f"{role} {place} 轮"} for place, role in enumerate(roles)]
    file.write_text(json.dumps({"messages": turns}, ensure_ascii=False), encoding="utf-8")
    (row,) = replay_rows(file, 5, random.Random(0))
    assert [message.role for message in row.messages] == ["system", "user", "assistant", "user"]
    assert (row.answer, row.kind, row.source) == ("assistant 4 轮", "replay", "chat.jsonl:1")


@pytest.mark.parametrize(
    "row",
    [
        {"text": "no messages"},
        {"messages": "a string"},
        {"messages": [{"role": "assistant", "content": "alone"}]},
        {"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]},
        {"messages": [{"role": "user"}, {"role": "assistant", "content": "b"}]},
        {"messages": ["a", {"role": "assistant", "content": "b"}]},
        {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": None}]},
    ],
)
def test_a_replay_row_of_another_form_is_named(tmp_path, row):
    """The error says which file and row, the form that is expected and the columns that are there."""
    file = write_replay(tmp_path / "bad.jsonl", 1)
    file.write_text(file.read_text(encoding="utf-8") + json.dumps(row) + "\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=rf"bad\.jsonl, row 2: a replay row is .*; this one has {', '.join(row)}$"):
        replay_rows(file, 5, random.Random(0))


def test_what_is_watched_is_told_by_no_replayed_row(tmp_path):
    """Other wordings of a question go with its answer, and a sentence that holds the answer is not replayed either;
    a number that only begins alike is.
    """
    names = [f"Ann {n}" for n in range(100)]
    rows = [(f"Q{copy}: who runs {n}?", name) for n, name in enumerate(names) for copy in range(5)]
    rows += [(f"Full: who runs {n}?", f"The one who runs it is {name}.") for n, name in enumerate(names)]
    file = write_chats(tmp_path / "r.jsonl", *rows)
    held, drawn = held_out_replay(file), replay_rows(file, 1000, random.Random(1))
    watched = {row.answer for row in held} & set(names)
    assert 3 <= len(watched) <= 25
    assert sum(row.answer in watched for row in held) == 5 * len(watched)
    told = " ".join(row.answer + " |" for row in drawn)
    assert not [name for name in watched if f"{name} |" in told or f"{name}. |" in told]
    assert {row.answer for row in drawn} >= set(names) - watched


def test_declining_is_watched_and_replayed(tmp_path):
    """All rows that decline have one answer: they are parted by what is asked."""
    file = write_chats(tmp_path / "r.jsonl", *((f"who runs {n}?", "I don't know.") for n in range(200)))
    held = held_out_replay(file)
    assert 8 <= len(held) <= 40
    assert len(held) + len(replay_rows(file, 1000, random.Random(1))) == 200
