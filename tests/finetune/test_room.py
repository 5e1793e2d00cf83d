"""Halving after memory ran out: the sequence of tries, what is kept of them, and when it is given up."""

import logging

import pytest

from kb.finetune.room import OutOfMemory, Room, keep_room, room_of, within_memory


def test_rows_are_halved_then_checkpointing_comes_then_nothing_is_left():
    """Each try divides the one before, so steps keep their rows; what was measured of a larger one does not count."""
    room, seen = Room(12, 12, False, {"seconds": 1.0}), []
    while room:
        seen.append((room.order, room.micro, room.checkpointing))
        room = room.smaller()
    assert seen == [(12, 12, False), (12, 6, False), (12, 3, False), (12, 1, False), (12, 1, True)]
    assert Room(4, 4, True, {"seconds": 1.0}).smaller() == Room(4, 2, True)


def test_a_stage_is_tried_again_until_it_fits(tmp_path, caplog):
    """One line for each try; what did fit is what a killed run goes on with."""
    tries = []

    def attempt():
        room = room_of(tmp_path, 8, False)
        tries.append(room.micro)
        if room.micro > 2:
            raise OutOfMemory(room)
        return "done"

    with caplog.at_level(logging.WARNING):
        assert within_memory(tmp_path, 16, attempt) == "done"
    assert tries == [8, 4, 2]
    assert room_of(tmp_path, 8, False) == Room(8, 2, False)
    assert [record.getMessage().partition(": ")[2] for record in caplog.records] == [
        "out of memory; going on with micro-batches of 4 rows, 4 for a step, without gradient checkpointing",
        "out of memory; going on with micro-batches of 2 rows, 8 for a step, without gradient checkpointing",
    ]


def test_it_is_given_up_at_one_row_with_checkpointing(tmp_path):
    """With what is left to do; the message is one line."""

    def attempt():
        raise OutOfMemory(room_of(tmp_path, 2, True))

    with pytest.raises(OutOfMemory, match=r"^out of memory. Under \[train\], lower rank, .*smaller model\.$"):
        within_memory(tmp_path, 2, attempt)


def test_what_is_kept_of_a_stage_wins_over_the_settings(tmp_path):
    """A run that was killed goes on as it was, whatever the card has room for by now."""
    assert room_of(tmp_path, 4, True) == Room(4, 4, True)
    keep_room(tmp_path, Room(16, 4, False, {"seconds": 2.5, "gib": 1.0}))
    assert room_of(tmp_path, 8, True) == Room(16, 4, False, {"seconds": 2.5, "gib": 1.0})
