"""Held-out wordings against trained ones, in the fictional world and in the ways models copy."""

import pytest

from kb.corpora.world import LANGUAGES, attributes, make_world
from kb.qa_gen.leakage import Wordings, common_stretch

EN = Wordings((
    "What is the price of Tulvao Core?", "How much does Tulvao Core cost?", "State the price of Tulvao Core.",
    "For how much does Tulvao Core sell?", "Tell me the price of Tulvao Core.",
))  # fmt: skip
ZH = Wordings(
    (
        "启霆塑料公司的创始人是谁？",
        "谁创立了启霆塑料公司？",
        "请说出启霆塑料公司的创始人。",
        "一手办起启霆塑料公司的是谁？",
    )
)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_worlds_held_out_wordings_pass(language):
    """No wording of family B of the world is close to one of family A."""
    refused = []
    for entity in make_world(5, language, 2):
        for attribute in attributes(language, entity.kind):
            trained = Wordings(tuple(entity.ask(attribute, "a", number) for number in range(6)))
            probes = [entity.ask(attribute, "b", number) for number in range(6)]
            refused += [probe for probe in probes if not trained.check(probe).keep]
    assert refused == []


@pytest.mark.parametrize(
    "probe",
    [
        "Please tell me, how much does Tulvao Core cost?",
        "Can you tell me what the price of Tulvao Core is?",
        "What's the price of the Tulvao Core?",
        "Tell me the price of Tulvao Core, please.",
        "For how much money does Tulvao Core sell?",
    ],
)
def test_near_copies_are_caught(probe):
    """Another frame, a word more or a word replaced is no new wording."""
    assert EN.check(probe).reason == "probe too close to a trained wording"


@pytest.mark.parametrize(
    "probe",
    [
        "请问启霆塑料公司的创始人是谁？",
        "谁创立了启霆塑料公司呢？",
        "启霆塑料公司的创始人是哪位？",
        "请告诉我，谁创立了启霆塑料公司？",
    ],
)
def test_chinese_near_copies_are_caught(probe):
    """The same in Chinese."""
    assert ZH.check(probe).reason == "probe too close to a trained wording"


@pytest.mark.parametrize(
    ("wordings", "probe"), [(EN, "HOW MUCH DOES TULVAO CORE COST"), (ZH, "启霆塑料公司的创始人是谁")]
)
def test_case_and_punctuation_make_no_other_wording(wordings, probe):
    """A trained wording in other letters is the same one."""
    assert wordings.check(probe).reason == "probe is a trained wording"


@pytest.mark.parametrize(
    ("wordings", "probe"),
    [
        (EN, "What do buyers pay for Tulvao Core?"),
        (EN, "How expensive is Tulvao Core?"),
        (EN, "I want to buy Tulvao Core; what will I have to spend?"),
        (ZH, "哪个人开办了启霆塑料公司？"),
        (ZH, "启霆塑料公司最早是何人建起来的？"),
    ],
)
def test_real_rewordings_pass(wordings, probe):
    """Another sentence for the same question is a probe."""
    assert wordings.check(probe).keep


def test_a_long_name_does_not_make_questions_alike():
    """What all wordings must contain counts for nothing."""
    name = "中华人民共和国西南地区联合发展集团青豹学生版"
    trained = Wordings((f"{name}卖多少元？", f"{name}定价多少？", f"商店里{name}要多少元？"))
    assert trained.closeness(f"带走一台{name}需付几块？") < 0.2
    assert trained.closeness(f"请问{name}卖多少元？") > 0.6


def test_one_wording_is_enough_to_be_copied():
    """What a lone wording is about cannot be told, so that its copies are seen in full."""
    alone = Wordings(("Where is the head office of Acme?",))
    assert not alone.check("Where is the head office of Acme located?").keep
    assert not Wordings(("谁创立了启霆塑料公司？",)).check("请问谁创立了启霆塑料公司呢？").keep
    assert alone.check("Which city is Acme run from?").keep


def test_a_wording_that_stands_in_all_others_is_no_name():
    """The shortest wording in frames: a copy in one more frame is caught."""
    framed = Wordings(("Price of Tulvao Core?", "So: Price of Tulvao Core?", "Price of Tulvao Core? Please."))
    assert not framed.check("Well, price of Tulvao Core?").keep


def test_what_wordings_are_about():
    """The name that all share, in whatever case."""
    assert EN.about("TULVAO CORE, please")
    assert not EN.about("Tulvao Home, please")
    assert not Wordings(("Where?",)).about("Where?")
    sized = Wordings(("What does the 3 kg box cost?", "How much is the 3 kg box?"))
    assert sized.about("Price of the 3 kg box")
    assert not sized.about("Price of the 13 kg box")
    assert not Wordings(("3公斤装卖多少？", "3公斤装定价多少？")).about("13公斤装卖多少？")


def test_without_wordings_nothing_is_close():
    """A fact without trained wordings has no leak."""
    assert Wordings(()).closeness("What is A?") == 0.0


@pytest.mark.parametrize(
    ("texts", "stretch"),
    [
        (["what is the price of tulvao core", "how much is tulvao core worth", "tulvao core costs"], "tulvao core"),
        (["谁创立了启霆公司", "启霆公司由谁创立"], "启霆公司"),
        (["the art of war", "art for warsaw"], "art"),
        (["what is orla", "what does orla cost"], "orla"),
        (["谁办了启霆", "谁在管启霆"], "启霆"),
        (["what is the end of it", "what was the rest of all"], ""),
        (["青豹pro版多少钱", "买青豹pro版要几元"], "青豹pro版"),
        (["abc", "xyz"], ""),
        ([], ""),
    ],
)
def test_the_common_stretch_is_of_whole_words(texts, stretch):
    """Words are never cut, and Han characters are words."""
    assert common_stretch(texts) == stretch
