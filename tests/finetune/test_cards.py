"""The table of cards: names that are known, and what a driver's name means in it."""

import pytest

from kb.errors import UsageError
from kb.finetune.cards import CARDS, named_card, peak_of


def test_a_card_is_found_by_its_name_and_no_other():
    """Capitals do not matter; an unknown name is an error that lists the known ones."""
    assert named_card("A100-80") == CARDS["a100-80"]
    with pytest.raises(UsageError, match=r"'4080' is not in kb's table; there is: 3090, 4090, .*h100-80"):
        named_card("4080")


@pytest.mark.parametrize(
    ("device", "gib", "tflops"),
    [
        ("NVIDIA GeForce RTX 4090", 23.6, 165.2),
        ("NVIDIA A100-SXM4-80GB", 79.2, 312.0),
        ("NVIDIA L40S", 44.4, 362.0),
        ("NVIDIA L4", 22.0, 121.0),
        ("NVIDIA H100 80GB HBM3", 79.1, 989.4),
        ("NVIDIA GeForce RTX 2060", 6.0, 0.0),
    ],
)
def test_a_drivers_name_gives_the_peak(device, gib, tflops):
    """By whole words: an L4 is no L40S; what the table lacks has no known peak."""
    assert peak_of(device, gib) == tflops
