"""An Ollama Modelfile whose Go template makes the very prompts that the trained chat template makes, or says it cannot.

The pieces around the turns are found by rendering the chat template with placeholders for their contents, and hold only
when they put every rendered chat together again, real prompts among them. Nothing is guessed by a model's name.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from jinja2 import TemplateError

from kb.finetune.export_files import rendered
from kb.llm.base import Message

Chat = list[dict[str, str]]
WORDS = {"system": "kbSYSTEMkb", "user": "kbUSERkb", "assistant": "kbASSISTANTkb"}
"""Contents of the rendered turns, which no template writes by itself."""
SHAPES = (
    ("user",), ("system", "user"), ("user", "assistant", "user"), ("system", "user", "assistant", "user"),
    ("system", "user", "assistant", "user", "assistant", "user"),
)  # fmt: skip


class NotDerived(Exception):
    """Why no Go template makes the prompts of a chat template."""


@dataclass(frozen=True)
class Pieces:
    """What a template writes around the contents of turns."""

    alone: str
    """Before a chat without a system message."""
    around: dict[str, tuple[str, str]]
    """Role to what stands before and behind its contents; without `system` where the template refuses one."""
    opening: str
    """Before the answer."""

    def text(self, chat: Chat) -> str:
        """The prompt that the pieces make of a chat."""
        turns = (self.around[turn["role"]][0] + turn["content"] + self.around[turn["role"]][1] for turn in chat)
        alone = "" if chat[0]["role"] == "system" else self.alone
        return alone + "".join(turns) + self.opening

    def go(self) -> str:
        """The same as a template of Ollama: Go's text/template over .Messages.

        Every piece is a quoted constant, so that nobody trims or folds its line breaks.
        """
        branches = [
            f'eq .Role "{role}" }}}}{_quoted(before)}{{{{ .Content }}}}{_quoted(after)}'
            for role, (before, after) in self.around.items()
        ]
        head = f"{{{{ if not .System }}}}{_quoted(self.alone)}{{{{ end }}}}" if self.alone else ""
        turns = "{{ if " + "{{ else if ".join(branches) + "{{ end }}"
        return head + "{{ range .Messages }}" + turns + "{{ end }}" + _quoted(self.opening)


def _quoted(text: str) -> str:
    """A Go action that writes the text; nothing for an empty one. JSON's escapes are Go's."""
    return f"{{{{ {json.dumps(text, ensure_ascii=False)} }}}}" if text else ""


def derive(tokenizer: Any, template: str, chats: Sequence[Sequence[Message]]) -> Pieces:
    """The pieces of a chat template that put all placeholder chats and all `chats` together as it does.

    Raises NotDerived, saying why, where there are none.
    """
    if "strftime_now" in template:
        raise NotDerived("the chat template writes today's date")
    shown = {shape: _shown(tokenizer, template, _chat(shape)) for shape in SHAPES}
    # Some templates know no system message.
    needed = SHAPES if shown["system", "user"] is not None else tuple(one for one in SHAPES if "system" not in one)
    real = [[{"role": turn.role, "content": turn.content} for turn in chat] for chat in chats]
    expected = [(_chat(shape), shown[shape]) for shape in needed]
    expected += [(chat, _shown(tokenizer, template, chat)) for chat in real]
    if any(text is None for _, text in expected):
        raise NotDerived("the chat template refuses plain turns of user and assistant")
    bos = _added_bos(tokenizer)
    pieces = _without_bos(_cut({shape: shown[shape] or "" for shape in needed}), bos)
    if any(bos + pieces.text(chat) != text for chat, text in expected):
        raise NotDerived("the chat template treats a turn by what comes before it or by what it says")
    return pieces


def _chat(shape: Sequence[str]) -> Chat:
    return [{"role": role, "content": f"{WORDS[role]}{place}"} for place, role in enumerate(shape)]


def _shown(tokenizer: Any, template: str, chat: Chat) -> str | None:
    """A chat as the template writes it; None where it refuses it."""
    try:
        return rendered(tokenizer, template, chat)
    except TemplateError:
        return None


def _cut(texts: dict[tuple[str, ...], str]) -> Pieces:
    """Pieces that fit the first shapes. Any cut between two turns will do that is the same wherever they meet."""
    between: dict[tuple[str, str], str] = {}
    for shape, text in texts.items():
        places = ["", *shape, ""]
        for (before, after), part in zip(pairwise(places), _parts(shape, text), strict=True):
            between.setdefault((before, after), part)
    ahead = {}
    for role in WORDS:
        found = [part[::-1] for (_, after), part in between.items() if after == role]
        if found:
            ahead[role] = _common(found)[::-1]
    behind = {}
    for role in ahead:
        rest = [part.removesuffix(ahead.get(after, "")) for (before, after), part in between.items() if before == role]
        behind[role] = _common(rest)
    alone = between["", "user"].removesuffix(ahead["user"])
    opening = between["user", ""].removeprefix(behind["user"])
    return Pieces(alone, {role: (ahead[role], behind[role]) for role in ahead}, opening)


def _common(texts: Sequence[str]) -> str:
    """The longest beginning that all of them have."""
    shortest = min(texts, key=len)
    ends = (place for place, letter in enumerate(shortest) if any(text[place] != letter for text in texts))
    return shortest[: next(ends, len(shortest))]


def _parts(shape: Sequence[str], text: str) -> list[str]:
    """The text before, between and behind the placeholders. Raises NotDerived where one is not there just once."""
    parts = []
    for turn in _chat(shape):
        head, found, text = text.partition(turn["content"])
        if not found or turn["content"] in text:
            raise NotDerived("the chat template changes or leaves out what a turn says")
        parts.append(head)
    return [*parts, text]


def _added_bos(tokenizer: Any) -> str:
    """The token that the tokenizer, and so Ollama, puts before every text by itself; empty where it puts none."""
    bos = tokenizer.bos_token_id
    return str(tokenizer.bos_token) if bos is not None and tokenizer("kb")["input_ids"][:1] == [bos] else ""


def _without_bos(pieces: Pieces, bos: str) -> Pieces:
    """The pieces without the first token where Ollama adds it: two of them are another prompt.

    Raises NotDerived where Ollama adds one that the template does not have.
    """
    if not bos:
        return pieces
    around = dict(pieces.around)
    before, after = around.get("system", (bos, ""))
    if not pieces.alone.startswith(bos) or not before.startswith(bos):
        raise NotDerived("Ollama puts the first token before a prompt, and the chat template does not")
    if "system" in around:
        around["system"] = (before.removeprefix(bos), after)
    return Pieces(pieces.alone.removeprefix(bos), around, pieces.opening)


def modelfile(source: str, pieces: Pieces | str, stops: Sequence[str]) -> str:
    """The Modelfile for weights at `source`; where `pieces` says why there are none, that stands in place of them."""
    lines = ["# ollama create NAME -f Modelfile; ollama run NAME", f"FROM {source}"]
    if isinstance(pieces, str):
        lines += [
            f"# TEMPLATE is left out: {pieces}.",
            "# Write one that makes the prompts of chat_template.jinja, or serve the folder by vLLM (serve.sh).",
        ]
    else:
        lines += [
            "# Makes the prompts of chat_template.jinja, character by character.",
            f'TEMPLATE """{pieces.go()}"""',
        ]
    lines += [f"PARAMETER stop {json.dumps(stop, ensure_ascii=False)}" for stop in stops]
    return "\n".join([*lines, "PARAMETER temperature 0", ""])
