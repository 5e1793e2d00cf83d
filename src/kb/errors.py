"""Every error that kb raises on purpose. The message says what is wrong, where, and what to do about it.

KBError                    exit 1
|-- UsageError             exit 2   wrong argument, wrong kb.toml
|   `-- ConfigError
|-- GateFailed             exit 3   a check of the result failed
|-- Incomplete             exit 4   items failed; the same command again goes on
|-- WorkspaceError         the workspace is missing, locked or from another version
|-- ModelUnavailable       the model is not on disk and the hub is out of reach
|-- LLMError               a model or server answered with an error that no retry cured
|-- Unparsed               a model's answer does not have the form the prompt asked for
`-- DocumentError          a file could not be read
"""

from __future__ import annotations


class KBError(Exception):
    """An error a user can act on; the command line prints it without a traceback."""

    exit_code = 1


class UsageError(KBError):
    """The command cannot mean anything as it was given."""

    exit_code = 2


class ConfigError(UsageError):
    """kb.toml or a flag has an unknown key or a value of the wrong type."""


class GateFailed(KBError):
    """The result is there and a check of it failed."""

    exit_code = 3


class Incomplete(KBError):
    """Some items failed and are recorded with their reasons; a rerun does them again."""

    exit_code = 4


class WorkspaceError(KBError):
    """The workspace is missing, in use by another process, or written by another version."""


class ModelUnavailable(KBError):
    """The model is not on disk and cannot be fetched."""


class LLMError(KBError):
    """A model or server failed in a way that retries did not cure."""


class Unparsed(KBError):
    """An answer that does not have the form its prompt asked for; the text goes with the failure record.

    The message says what is wrong in words that the model is told, too; `zh` says it to one that is asked in Chinese.
    """

    def __init__(self, message: str, zh: str = "") -> None:
        super().__init__(message)
        self.zh = zh

    def said(self, language: str) -> str:
        """What is wrong, in a language; in English where nothing else is there."""
        return self.zh if language == "zh" and self.zh else str(self)


class DocumentError(KBError):
    """A file that could not be read. `status` is the typed outcome, such as "CORRUPT" or "UNSUPPORTED"; `unread_pages`
    is how many of its pages OCR may be able to read.
    """

    def __init__(self, status: str, message: str, unread_pages: int = 0) -> None:
        super().__init__(message)
        self.status, self.unread_pages = status, unread_pages
