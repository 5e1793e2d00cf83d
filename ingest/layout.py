"""From the lines of PDF pages to blocks: which paragraphs are headings. Pure: no PDF library here."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence

from kb.ingest.blocks import Block, join_lines
from kb.ingest.furniture import Page
from kb.ingest.headings import is_short, numbered_ranks
from kb.ingest.pdf_paragraphs import Paragraph, continued, goes_over, is_one_table, paragraphs_of

Outline = Mapping[int, Sequence[tuple[str, int]]]
"""The bookmarks: page -> (title, level from 1), in their order."""

LARGER = 1.12
"""A line is a heading by its size when it is this many times as large as the body."""
MOST = 0.3
"""Share of the text above which large lines are no headings: a poster, a page of a children's book."""
DEEPEST = 6

_PREFIX = re.compile(
    r"第[〇零一二三四五六七八九十百\d]+[编部篇章节]|(chapter|part|section|appendix)\d+|[\d.]+|[（(]?[一二三四五六七八九十]+[)）、.]"
)


def to_blocks(pages: Sequence[Page], outline: Outline, title: str) -> list[Block]:
    """The blocks of a document. `title` is what the document calls itself, "" when it does not say."""
    paragraphs: list[Paragraph] = []
    for page in pages:
        found = paragraphs_of(page)
        if paragraphs and found:
            _go_on(paragraphs[-1], found)
        paragraphs += found
    levels = _outline_levels(paragraphs, outline) or _own_levels(paragraphs)
    _mark_title(paragraphs, levels, title)
    blocks: list[Block] = []
    for index, paragraph in enumerate(paragraphs):
        if index in levels:
            blocks.append(Block("heading", paragraph.text, paragraph.page, levels[index]))
        elif paragraph.kind == "list" and blocks and blocks[-1].kind == "list" and blocks[-1].page == paragraph.page:
            blocks[-1] = Block("list", f"{blocks[-1].text}\n{paragraph.text}", paragraph.page)
        else:
            blocks.append(Block(paragraph.kind, paragraph.text, paragraph.page))
    return blocks


def _go_on(last: Paragraph, found: list[Paragraph]) -> None:
    """Take over the first paragraph of a page when the last one of the page before goes on in it."""
    first = found[0]
    if goes_over(last, first):
        last.text = join_lines(last.text, first.text)
    elif is_one_table(last, first):
        last.text = continued(last.text, first.text)
    else:
        return
    last.lines += found.pop(0).lines


def _mark_title(paragraphs: Sequence[Paragraph], levels: dict[int, int], title: str) -> None:
    """Give level 0 to the paragraph on the first pages that says the document's title."""
    for index, paragraph in enumerate(paragraphs):
        if paragraph.page > 2 or not title:
            return
        if _plain(paragraph.text) == _plain(title):
            levels[index] = 0
            return


def _outline_levels(paragraphs: Sequence[Paragraph], outline: Outline) -> dict[int, int]:
    """Paragraphs that say the title of a bookmark to their page. One that is broken over two lines is put together."""
    levels: dict[int, int] = {}
    for page, entries in outline.items():
        places = [index for index, paragraph in enumerate(paragraphs) if paragraph.page == page]
        for title, level in entries:
            wanted = _plain(title)
            for index in places:
                if index in levels or not wanted:
                    continue
                own = _plain(paragraphs[index].text)
                if wanted in (own, _PREFIX.sub("", own, count=1)) or own == _PREFIX.sub("", wanted, count=1):
                    levels[index] = min(level, DEEPEST)
                    break
                after = paragraphs[index + 1] if index + 1 < len(paragraphs) else None
                if after and len(own) > 3 and wanted.endswith(own + _plain(after.text)):
                    paragraphs[index].text = join_lines(paragraphs[index].text, after.text)
                    after.text = ""
                    levels[index] = min(level, DEEPEST)
                    break
    return levels


def _own_levels(paragraphs: Sequence[Paragraph]) -> dict[int, int]:
    """Headings by size and by numbering, when there are no bookmarks: larger is higher, numbered ones come below."""
    sizes: Counter[float] = Counter()
    for paragraph in paragraphs:
        sizes[_rounded(paragraph.size)] += len(paragraph.text)
    body = sizes.most_common(1)[0][0] if sizes else 0.0
    large = {
        index: paragraph.size
        for index, paragraph in enumerate(paragraphs)
        if paragraph.size > body * LARGER and body and _could_be(paragraph, 2)
    }
    if sum(len(paragraphs[index].text) for index in large) > MOST * sizes.total():
        large = {}
    lines = [paragraph.text if _could_be(paragraph, 1) else "" for paragraph in paragraphs]
    ranks = numbered_ranks(lines)
    keys = {index: (1, float(rank)) for index, rank in ranks.items() if paragraphs[index].size >= body * 0.95}
    keys |= {index: (0, -_rounded(size)) for index, size in large.items()}
    order = {key: level for level, key in enumerate(sorted(set(keys.values())), 1)}
    return {index: min(order[key], DEEPEST) for index, key in keys.items()}


def _could_be(paragraph: Paragraph, lines: int) -> bool:
    """Whether a paragraph could be a heading of at most so many lines."""
    return paragraph.kind != "table" and len(paragraph.lines) <= lines and is_short(paragraph.text)


def _rounded(size: float) -> float:
    """To half a point."""
    return round(size * 2) / 2


def _plain(text: str) -> str:
    """For comparison: width, case and blanks do not matter."""
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())
