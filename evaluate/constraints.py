"""What an instruction can ask of an answer's form, each decided by a program: `CONSTRAINTS`, by name.

After the verifiable instructions of IFEval (Zhou and others, arXiv 2311.07911), in its strict reading: the answer
counts as it stands. Width decides nothing (，is a comma, ＃ a number sign), and no blank at the end of a line and no
empty line does, except where paragraphs are asked for. Every function takes the answer without blanks around it and the
constraint's argument, and says whether the answer keeps to it.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kb.text.characters import HAN, plain
from kb.text.sentences import sentences

_BULLET = re.compile(r"\s*(?:[-*+]\s|[•●▪◦])")
_NUMBER = re.compile(r"\s*\**[(（]?([0-9]{1,3})(?:[.)）．](?![0-9])|、)")
_HEADING = re.compile(r"#{1,6}\s+\S")
_BOLD = re.compile(r"\*\*(?![\s*])(?:[^*\n]*[^*\s])?\*\*")
_BLANK = re.compile(r"\[[^\[\]\n]+\](?!\()")
_WORD = re.compile(rf"[{HAN}]|[^\W_{HAN}]+(?:['.,-][^\W_{HAN}]+)*")
_FENCE = re.compile(r"```[A-Za-z]*\s*\n(.*?)\n?\s*```", re.DOTALL)
_LATIN = re.compile(r"[a-zA-Z]")
_HAN = re.compile(f"[{HAN}]")
_DRESS = "*_`\"'“”‘’「」『』 \t\n"
"""Marks of emphasis and quotes, which may stand round a phrase that an answer begins or ends with."""
SEPARATOR = "******"
"""Between two replies."""


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def lines(text: str, wanted: int) -> bool:
    """So many lines, not counting empty ones."""
    return len(_lines(text)) == wanted


def bullets(text: str, wanted: int) -> bool:
    """So many points that begin with -, *, + or a dot, those below others among them. Other lines may stand beside."""
    return sum(bool(_BULLET.match(line)) for line in text.splitlines()) == wanted


def numbered(text: str, wanted: int) -> bool:
    """The lines that begin with a number count from 1 to `wanted`, as 1. or 1) or (1) or 1、 do."""
    found = [int(match[1]) for line in text.splitlines() if (match := _NUMBER.match(line))]
    return found == list(range(1, wanted + 1))


def sentence_count(text: str, wanted: int) -> bool:
    """So many sentences; a semicolon ends none, a line break does, and the points of a list are none."""
    listed = any(_BULLET.match(line) or _NUMBER.match(line) for line in text.splitlines())
    return not listed and len(sentences(text.replace("；", "，"))) == wanted


def paragraphs(text: str, wanted: int) -> bool:
    """So many paragraphs, with an empty line between two."""
    return len(re.split(r"\n[ \t]*\n\s*", text)) == wanted


def length(text: str, bounds: Sequence[int]) -> bool:
    """From the first to the second bound, both allowed, in words and Han characters: 用 3 天 is three, "well-known" is
    one. Punctuation does not count.
    """
    low, high = bounds
    return low <= len(_WORD.findall(plain(text))) <= high


def separated(text: str, how: Sequence[Any]) -> bool:
    """One line of so many parts (the second of `how`) with this mark (the first) between two."""
    mark, wanted = plain(how[0]), how[1]
    parts = plain(text).rstrip(".。 ").split(mark)
    return "\n" not in text and len(parts) == wanted and all(part.strip() for part in parts)


def replies(text: str, wanted: int) -> bool:
    """So many different replies with `SEPARATOR` between two."""
    parts = [part.strip() for part in text.split(SEPARATOR)]
    return len(parts) == wanted == len(set(parts)) and all(parts)


def _count(text: str, word: str) -> int:
    """Occurrences of a word, of Latin letters as a whole word, in whatever case."""
    pattern = re.escape(plain(word).casefold())
    if word.isascii():
        pattern = rf"(?<![a-z0-9]){pattern}(?![a-z0-9])"
    return len(re.findall(pattern, plain(text).casefold()))


def includes(text: str, words: Sequence[str]) -> bool:
    """Each of these words occurs."""
    return all(_count(text, word) for word in words)


def excludes(text: str, words: Sequence[str]) -> bool:
    """None of these words occurs."""
    return not any(_count(text, word) for word in words)


def repeats(text: str, times: Mapping[str, int]) -> bool:
    """Each word occurs exactly so many times."""
    return all(_count(text, word) == wanted for word, wanted in times.items())


def without(text: str, marks: str) -> bool:
    """None of these characters occurs, of whatever width."""
    return not set(marks) & set(plain(text))


def starts(text: str, phrase: str) -> bool:
    """The phrase, in whatever case, is what the answer begins with."""
    return _undressed(text).startswith(_undressed(phrase))


def ends(text: str, phrase: str) -> bool:
    """The phrase, in whatever case, is what the answer ends with, and nothing follows."""
    return _undressed(text).endswith(_undressed(phrase))


def _undressed(text: str) -> str:
    return " ".join(plain(text.strip(_DRESS)).casefold().split())


def last_line(text: str, phrase: str) -> bool:
    """The last of two or more lines begins with the phrase, and goes on after it."""
    found = [_undressed(line) for line in _lines(text)]
    return len(found) > 1 and found[-1].startswith(_undressed(phrase)) and found[-1] != _undressed(phrase)


def every_line(text: str, phrase: str) -> bool:
    """Every line begins with the phrase and goes on after it."""
    return all(line.startswith(phrase) and line != phrase for line in map(plain, _lines(text)))


def initials(text: str, letters: str) -> bool:
    """The lines, as many as these letters, begin with them in their order, and go on."""
    found = [line.lstrip(_DRESS) for line in _lines(text)]
    return [line[:1].casefold() for line in found] == list(letters.casefold()) and all(len(line) > 1 for line in found)


def title(text: str, marks: Sequence[str]) -> bool:
    """The first of two or more lines is a title within these marks, and nothing else."""
    found, (opening, closing) = _lines(text), marks
    first = found[0].strip("*#_ ") if len(found) > 1 else ""
    return first.startswith(opening) and first.endswith(closing) and len(first) > len(opening) + len(closing)


def quoted(text: str, _: bool) -> bool:
    """The whole answer stands in one pair of double quotation marks."""
    inner = plain(text).replace("「", '"').replace("」", '"')
    return len(inner) > 2 and inner[0] == inner[-1] == '"' and '"' not in inner[1:-1]


def bold(text: str, wanted: int) -> bool:
    """So many parts in **bold**."""
    return len(_BOLD.findall(text)) == wanted


def blanks(text: str, least: int) -> bool:
    """At least so many places to fill in, as [name]."""
    return len(_BLANK.findall(plain(text))) >= least


def headings(text: str, wanted: int) -> bool:
    """So many headings of Markdown, with text below the last."""
    found = [bool(_HEADING.match(plain(line))) for line in _lines(text)]
    return sum(found) == wanted and not found[-1]


def table(text: str, shape: Sequence[int]) -> bool:
    """A Markdown table of so many columns and rows below its header."""
    rows = [line for line in _lines(plain(text)) if line.startswith("|")]
    cells = [line.strip("|").split("|") for line in rows]
    ruled = len(rows) > 1 and all(re.fullmatch(r"\s*:?-+:?\s*", cell) for cell in cells[1])
    return ruled and len(rows) == shape[1] + 2 and all(len(row) == shape[0] for row in cells)


def upper(text: str, _: bool) -> bool:
    """Latin letters, and none of them small."""
    return bool(_LATIN.search(text)) and text == text.upper()


def no_latin(text: str, _: bool) -> bool:
    """No Latin letter, of whatever width."""
    return not _LATIN.search(plain(text))


def lower(text: str, _: bool) -> bool:
    """Latin letters, and none of them a capital."""
    return bool(_LATIN.search(text)) and text == text.lower()


def language(text: str, wanted: str) -> bool:
    """In English, without a Han character; or in Chinese, with more Han characters than Latin letters."""
    han, latin = len(_HAN.findall(text)), len(_LATIN.findall(unicodedata.normalize("NFKC", text)))
    return latin > 0 == han if wanted == "en" else han > latin


def only(text: str, options: Sequence[str]) -> bool:
    """One of these options and nothing else but quotes and a full stop, in either order: “Yes.” and 「是」。 too."""
    return _undressed(text.rstrip(f"{_DRESS}.。．")) in {_undressed(one) for one in options}


def json_object(text: str, keys: Sequence[str]) -> bool:
    """A JSON object with exactly these keys, and nothing beside it but a code fence round it."""
    found = _json(text)
    return isinstance(found, dict) and set(found) == set(keys)


def json_array(text: str, wanted: int) -> bool:
    """A JSON array of so many different strings, none empty, and nothing beside it but a code fence round it."""
    found = _json(text)
    if not isinstance(found, list) or not all(isinstance(one, str) and one.strip() for one in found):
        return False
    return len(found) == len(set(found)) == wanted


def _json(text: str) -> Any:
    fenced = _FENCE.fullmatch(text)
    try:
        return json.loads(fenced[1] if fenced else text)
    except (ValueError, RecursionError):
        return None


CONSTRAINTS: dict[str, Callable[[str, Any], bool]] = {
    "lines": lines, "bullets": bullets, "numbered": numbered, "sentences": sentence_count, "paragraphs": paragraphs,
    "length": length, "separated": separated, "replies": replies, "includes": includes, "excludes": excludes,
    "repeats": repeats, "without": without, "starts": starts, "ends": ends, "last_line": last_line,
    "every_line": every_line, "initials": initials, "title": title, "quoted": quoted, "bold": bold, "blanks": blanks,
    "headings": headings, "table": table, "upper": upper, "lower": lower, "no_latin": no_latin, "language": language,
    "only": only, "json": json_object, "json_array": json_array,
}  # fmt: skip
"""Names as they stand in following.jsonl."""
