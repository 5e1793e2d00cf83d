"""The rules of thumb: computed for every size and way, and in the order that everybody knows."""

from kb.finetune.cards import CARDS
from kb.finetune.thumb import CLASSES, MODELS, fits, rules, table


def test_every_size_has_every_way_and_less_memory_fits_more_cards():
    """Full fine-tuning takes more than with 8-bit moments, that more than LoRA, that more than QLoRA."""
    made = rules(64)
    assert len(made) == 4 * len(MODELS)
    for size in MODELS:
        ways = [rule for rule in made if rule.model == size]
        assert [rule.gib for rule in ways] == sorted((rule.gib for rule in ways), reverse=True)
        assert [len(rule.fits) for rule in ways] == sorted(len(rule.fits) for rule in ways)


def test_what_everybody_knows_comes_out():
    """8 B in QLoRA goes on 24 GB and its full fine-tuning on no single card; 32 B in QLoRA takes 48 GB."""
    said = {(rule.model, rule.way): rule.fits for rule in rules(64)}
    assert said["8 B", "QLoRA r 64"] == tuple(CLASSES)
    assert said["8 B", "full"] == ()
    assert said["32 B", "QLoRA r 64"] == ("48 GB", "80 GB")
    assert all(card in CARDS for card in CLASSES.values())
    assert not fits(23.0, "4090"), "the margin counts"


def test_the_table_is_a_line_for_each():
    """With a title that says for what; nothing without rules."""
    lines = table(rules(16))
    assert len(lines) == 1 + len(rules(16))
    assert "2048 tokens" in lines[0]
    assert table([]) == []
