"""The answer in what a model wrote: without its thinking, its lead-in, and the marks of chat templates and Markdown."""

from __future__ import annotations

import re

from kb.text.canonical import canonical

_LEAD_IN = re.compile(
    r"\s*(?:(?:the )?(?:final |short |correct )?answer(?:\s*:| is\b:?)|a:\s"
    r"|(?:最终|正确)?(?:答案|回答|答)[是为]?\s*:|(?:最终|正确)?答案[是为])\s*",
    re.IGNORECASE,
)
_CITATION = re.compile(r"\s?(?:\[[0-9]{1,3}(?:[,-] ?[0-9]{1,3})*\]|【[0-9]{1,3}】)(?=\W|$)")
_EMPHASIS = re.compile(r"[*_`]{2,}|(?<!\w)[*_`]|[*_`](?!\w)")
_END_MARK = re.compile(r"<\|[a-z_]{1,24}\|>|</?s>|<(?:eos|end_of_turn)>", re.IGNORECASE)


def without_thinking(text: str) -> str:
    """The answer without the thinking before it; thinking that is not closed leaves nothing.

    The opening tag may be missing: some templates (Qwen3-Thinking, DeepSeek-R1) put it into the prompt.
    """
    thought, closed, answer = text.partition("</think>")
    opened = thought.lstrip().startswith("<think>")
    if closed and (opened or "<think>" not in thought):
        return answer.lstrip()
    return "" if opened else text


def bare_answer(text: str) -> str:
    """A plain text without "The answer is", marks of emphasis, citations such as [2] and a chat template's end marks;
    as it is where nothing else is in it.
    """
    rest = _END_MARK.sub(" ", _CITATION.sub("", _EMPHASIS.sub("", text)))
    match = _LEAD_IN.match(rest)
    rest = rest[match.end() :] if match else rest
    return rest.strip() if canonical(rest) else text
