"""Facts and questions as JSON: the schemas for servers that hold to them, and reading what comes of it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

from kb.errors import Unparsed
from kb.llm import Message, Request

FIELDS = ("quote", "fact", "answer")
"""Of a fact, in the order of the lines."""


def _object(**properties: Any) -> dict[str, Any]:
    """A schema of an object with exactly these properties."""
    kind = {"type": "object", "properties": properties}
    return kind | {"required": list(properties), "additionalProperties": False}


_TEXT = {"type": "string"}
SCHEMAS = {
    "facts": json.dumps(_object(facts={"type": "array", "items": _object(**dict.fromkeys(FIELDS, _TEXT))})),
    "questions": json.dumps(_object(questions={"type": "array", "items": _TEXT})),
}
"""Form of an answer to the schema that it is held to."""
_FENCED = re.compile(r"```(?:json)?\s*\n(.*?)(?:\n\s*```|\Z)", re.DOTALL | re.IGNORECASE)
_OPENS = re.compile(r'\{|\[\s*["{\]]')


def as_json(request: Request, form: str, wish: str) -> Request:
    """The request with the wish for JSON at the end of its system message, held to the schema of the form."""
    first, *rest = request.messages
    if first.role == "system":
        system, rest = f"{first.content}\n{wish}", list(rest)
    else:
        system, rest = wish, [first, *rest]
    return replace(request, messages=(Message("system", system), *rest), schema=SCHEMAS[form])


def read_list(text: str, form: str) -> list[Any] | None:
    """The list in an answer that is JSON of a form, or the bare list; None of an answer that is no JSON.

    A fence and what stands around it do not matter. Raises Unparsed for an object that is malformed or has another
    form, with the decoder's words. A bare list that is malformed may still be lines.
    """
    fenced = _FENCED.search(text)
    body = (fenced[1] if fenced else text).strip()
    if not _OPENS.match(body):
        return None
    try:
        # Line breaks inside of a string are what small models write.
        found, _ = json.JSONDecoder(strict=False).raw_decode(body)
    except (json.JSONDecodeError, RecursionError) as error:
        if body.startswith("["):
            return None
        fault = getattr(error, "msg", "too deep").removesuffix(" at").rstrip(": ")
        raise Unparsed(f"malformed JSON: {fault}", f"JSON 格式有误：{fault}") from None
    listed = found.get(form) if isinstance(found, dict) else found
    if not isinstance(listed, list):
        raise Unparsed(f'no list "{form}" in the JSON', f"JSON 中没有列表“{form}”")
    return listed


def text_of(value: object) -> str:
    """A value of JSON where a text was wanted; nothing for null, lists and objects."""
    return str(value).strip() if isinstance(value, str | int | float) else ""
