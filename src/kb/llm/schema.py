"""Whether a server holds answers to a JSON schema. Some do, some refuse to, and some take the schema and ignore it."""

from __future__ import annotations

import json
import logging

from kb.llm.base import LLM, Request, user
from kb.store import Store

log = logging.getLogger(__name__)

WORD = "ultramarine"
"""What no model says to a greeting."""
PROBE = Request(
    user("Say hello."),
    schema=json.dumps({
        "type": "object", "properties": {"word": {"type": "string", "enum": [WORD]}}, "required": ["word"],
        "additionalProperties": False,
    }),
)  # fmt: skip
"""A request that is answered in the schema's form by a server that holds to it, and by no other."""


def holds_schemas(llm: LLM, store: Store) -> bool:
    """Whether the model's answers are held to a request's schema, by its settings or by a probe.

    What the probe shows is kept under the model's identity and said once. A probe without an answer shows nothing: the
    next run makes another one.
    """
    if llm.json_schema != "auto":
        return llm.json_schema == "on"
    found = store.setting(setting_of(llm.identity))
    if not found:
        ((_, done),) = llm.generate([PROBE])
        if done.error and not done.refused:
            log.info("%s: no answer to whether it holds to a JSON schema (%s); asked for lines", llm.label, done.error)
            return False
        found = "on" if _is_held(done.text) else "off"
        why = f" ({done.error})" if done.error else ""
        log.info("%s: %s%s", llm.label, SAID[found], why)
        store.set_setting(setting_of(llm.identity), found)
    return found == "on"


SAID = {
    "on": "holds answers to a JSON schema; facts and questions are asked for in JSON",
    "off": "does not hold answers to a JSON schema; facts and questions are asked for as lines",
}


def setting_of(identity: str) -> str:
    """The name of the stored setting that says `on` or `off` of a model, once it has been found out."""
    return f"json schema: {identity}"


def _is_held(text: str) -> bool:
    try:
        return bool(json.loads(text) == {"word": WORD})
    except ValueError:
        return False
