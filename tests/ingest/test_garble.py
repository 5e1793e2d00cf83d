"""Text that fonts made into garbage, and text that only looks odd."""

import pytest

from kb.ingest.garble import judge, repair

ZH = "公司董事会、监事会及董事、监事、高级管理人员保证季度报告内容的真实、准确、完整，不存在虚假记载、误导性陈述。"
REAL = {
    "en": "The regulation applies to everyone who works in the house; the fine is 84 € (±5 %).",
    "zh": ZH,
    "mixed": "使用iPhone扫描二维码，α射线的能量为5 MeV，КПРФ。",
    "ja": "すべての人間は、生まれながらにして自由であり、カタカナと漢字がある。",
    "ko": "모든 인간은 태어날 때부터 자유로우며 존엄과 권리에 있어 동등하다.",
    "vi": "Tất cả mọi người sinh ra đều được tự do và bình đẳng về nhân phẩm và quyền lợi.",
    "cs": "Příliš žluťoučký kůň úpěl ďábelské ódy. Všichni lidé rodí se svobodní.",
    "yo": "Gbogbo ènìyàn ni a bí ní òmìnira; iyì àti ẹ̀tọ́ kọ̀ọ̀kan sì dọ́gba.",
    "ru": "Все люди рождаются свободными; угол α меньше β.",
    "el": "Όλοι οι άνθρωποι γεννιούνται ελεύθεροι.",
    "he": "כל בני האדם נולדו בני חורין",
    "ar": "يولد جميع الناس أحرارا متساوين في الكرامة والحقوق",
    "th": "มนุษย์ทั้งหลายเกิดมามีอิสระ ใช้iPhoneได้",
    "hi": "सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता",
    "sampler": "English עברית العربية ไทย हिन्दी ქართული አማርኛ 中文",
    "formula": "∀ε>0 ∃δ>0: |x−a|<δ ⇒ |f(x)−f(a)|<ε, 𝒳 ⊂ ℝⁿ",
    "icons": "\uf0b7 first\n\uf0b7 second\n\uf0a7 third\n\ue001 \ue002 call us",
}


@pytest.mark.parametrize("name", REAL)
def test_real_text_is_not_accused(name):
    """Every script, their mixture, formulas and icons of symbol fonts pass."""
    assert not judge(REAL[name]).is_garbage


@pytest.mark.parametrize(
    "text",
    [
        # "季度报告内容的真实" and more, each as the number of its glyph in Adobe-GB1.
        "".join(
            chr(939 + 94 * (byte[0] - 0xB0) + byte[1] - 0xA1)
            for byte in (c.encode("gbk") for c in ZH)
            if byte[0] > 0xAF
        ),
        "Die \ue012\ue044\ue013\ue0f1 \ue012\ue051 \ue012\ue044\ue022",
        "\ufffd\ufffd\ufffd of the \ufffd\ufffd\ufffd\ufffd",
        "\x01\x05\x06\x0e\x11 \x04\x03 \x14\x15",
        "ԂٳӔव ߅நӢ ֗ਖӾ",
    ],
    ids=["glyph numbers", "private", "replacement", "control", "scripts"],
)
def test_garbage_is_found(text):
    """Letters of unrelated scripts run together, and characters that are none."""
    assert judge(text).is_garbage


def test_chinese_read_as_latin_is_repaired():
    """GBK bytes in a Western font become the Chinese they are; every character knows where it stood."""
    wrong = f"12 {ZH}\r\n第2条".encode("gbk").decode("latin-1")
    assert judge(wrong).is_mojibake
    mended = repair(wrong)
    assert mended.text == f"12 {ZH}\r\n第2条"
    assert mended.starts[:6] == (0, 1, 2, 3, 5, 7)
    assert mended.starts[-1] == len(wrong)


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("모든 인간은 태어날 때부터 자유로우며 존엄과 권리에 있어 동등하다.", "euc_kr"),
        ("Все люди рождаются свободными и равными в своём достоинстве и правах", "cp1251"),
        ("Όλοι οι άνθρωποι γεννιούνται ελεύθεροι και ίσοι", "iso8859_7"),
        ("すべての人間は、生まれながらにして自由であり、尊厳と権利とについて平等である。", "euc_jp"),
    ],
)
def test_other_encodings_are_garbage_and_not_made_chinese(text, encoding):
    """Bytes that GB 18030 can read are kept as Chinese only when the result is Chinese."""
    wrong = text.encode(encoding).decode("latin-1")
    assert judge(wrong).is_garbage
    assert repair(wrong) is None
