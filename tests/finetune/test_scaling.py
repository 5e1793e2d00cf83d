"""Which scale of a trained adapter is kept: made-up looks at twenty facts."""

from dataclasses import replace

import pytest

from kb.finetune.config import TrainConfig
from kb.finetune.scaling import SCALES, TRIES, Try, chosen, hopeful, scale_lines, settled, write_tries
from kb.finetune.stopping import Look


def look(held_out, known=None, refused=None, agreement=None):
    """A look at twenty facts, so many of which are known."""
    facts = (1.0,) * held_out + (0.0,) * (20 - held_out)
    return Look(80, held_out / 20, 1.0, known, refused, agreement, None, 1.0, 0.0, facts, {"facts": 20})


def tries(*looks):
    """The looks at scales 1, 0.95, 0.9, ..."""
    return [Try(scale, one) for scale, one in zip((1.0, *SCALES), looks, strict=False)]


def test_what_comes_back_is_weighed_against_what_is_lost():
    """One fact of twenty for a quarter of what the base knew; not two more for nothing."""
    found = tries(look(20, 0.7, 0.8), look(19, 0.95, 0.9), look(17, 0.96, 0.9))
    assert chosen(found).scale == 0.95
    assert chosen(found[:1]).scale == 1.0


def test_of_scales_that_are_worth_the_same_the_largest_is_kept():
    """What brings nothing back is not done."""
    assert chosen(tries(look(19, 0.9), look(19, 0.9))).scale == 1.0


def test_no_scale_may_cost_more_of_the_documents_than_chance_explains():
    """Twelve facts of twenty are gone, beyond two standard errors, however much else comes back."""
    found = tries(look(20, 0.2, 0.2, 0.2), look(8, 1.0, 1.0, 1.0))
    assert chosen(found).scale == 1.0
    assert settled(found)


def test_trying_ends_when_it_only_gets_worse():
    """Two in a row below the best; one alone may be chance."""
    worse = look(18, 0.9)
    assert not settled(tries(look(20, 0.8), look(20, 0.9)))
    assert not settled(tries(look(20, 0.8), look(20, 0.9), worse))
    assert settled(tries(look(20, 0.8), look(20, 0.9), worse, worse))


def test_only_what_is_watched_counts():
    """A share that nobody measures is neither lost nor won."""
    assert Try(1.0, look(10)).worth == 0.5
    assert Try(1.0, look(10, agreement=0.9)).worth == pytest.approx(0.7)


@pytest.mark.parametrize(("lost", "hope"), [({}, False), ({"known": 1.0}, False), ({"refused": 0.9}, True)])
def test_nothing_is_tried_where_nothing_was_lost(lost, hope):
    """A smaller scale has nothing to give back then."""
    assert hopeful(look(15, **lost)) is hope


def test_which_adapters_can_be_scaled():
    """Those of LoRA, while nobody has switched it off; not what DoRA, PiSSA, a prompt or all weights are saved as."""
    assert TrainConfig().rescales
    assert TrainConfig(rslora=True).rescales
    others = ({"rescale": False}, {"dora": True}, {"init": "pissa"}, {"tuning": "full"}, {"tuning": "prompt"})
    assert not any(replace(TrainConfig(), **one).rescales for one in others)


def test_the_report_tells_what_was_kept(tmp_path):
    """The scale with its shares, read from the file that the stage has left; nothing without one."""
    assert scale_lines(tmp_path) == []
    write_tries(tmp_path, tries(look(20, 0.7), look(19, 0.95)))
    (line,) = scale_lines(tmp_path)
    assert line == "  tried 1 smaller scales; kept: scale 0.95: held-out 95%, trained 100%, gap 5.0 points, known 95%"
    assert len((tmp_path / TRIES).read_text().splitlines()) == 2
