"""Parser events of a YAML text, or one error, with equal messages for all versions of PyYAML's parsers.

libyaml and PyYAML's pure Python parser read ahead of the events that they return: an error there, or a limit of their
own (libyaml 0.2.6: 1,000 levels), would be reported before the reader's limits.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import yaml

from mischance.errors import MischanceError

LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C parser where PyYAML was built with it

MAX_KEY = 1024  # characters: YAML 1.2, section 7.4.2, so that a parser need not look further ahead for the `:`


class YamlError(MischanceError):
    """The parser refuses the text.

    Args:
        line: where, 1-based.
        column: where, 1-based [characters].
        message: what is wrong there.
        hint: what to do about it, or nothing.
    """

    def __init__(self, line: int, column: int, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.line = line
        self.column = column
        self.message = message
        self.hint = hint


def events(text: str, loader: Any = None) -> Iterator[Any]:
    """Yield the parser's events; the caller stops at its own limits.

    Args:
        text: the whole text.
        loader: a loader class of PyYAML; by default the fastest there is.

    Raises:
        YamlError: the text is no YAML.
    """
    done = 0
    try:
        for event in yaml.parse(text, Loader=loader or LOADER):
            yield event
            done += 1
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        if mark and mark.index < len(text) and "nesting depth" in (error.problem or ""):
            # What comes before the parser's limit holds the place of the reader's own, which is lower.
            yield from islice(events(text[: mark.index], loader), done, None)
        raise _explain(error, text) from None
    except (yaml.YAMLError, ValueError, OverflowError):  # an escape such as "\UFFFFFFFF" that is no character
        raise YamlError(1, 1, "not a text that YAML can read") from None


def _explain(error: yaml.MarkedYAMLError, text: str) -> YamlError:
    """Return a message for a parser error."""
    mark = error.problem_mark or error.context_mark
    if mark is None:
        return YamlError(1, 1, f"not YAML: {error.problem}")
    line, column = mark.line + 1, mark.column + 1
    begin = mark.index - mark.column
    before = text[begin : mark.index]
    problem, context = error.problem or "", error.context or ""
    if "\\t" in problem or "tab" in problem or "'\t'" in problem or text[begin:].lstrip(" ").startswith("\t"):
        return YamlError(line, column, "a tab cannot indent", "indent with spaces")
    if text[mark.index : mark.index + 1] == ":":
        key, known = before.rstrip(" "), error.context_mark
        if "simple key" in context and known and known.line == mark.line:
            start = known.column
        elif key.endswith(("'", '"')):
            start = key.rfind(key[-1], 0, -1)
        else:
            start = max(key.rfind(sign) for sign in "[]{},") + 1
            start += len(key[start:]) - len(key[start:].lstrip(" -?"))  # marks of lists and keys may stand before it
        start = max(start, 0)
        if len(key) - start > MAX_KEY:
            hint = "write `? ` before it and `: ` at the beginning of the next line"
            return YamlError(line, start + 1, f"a key may have {MAX_KEY} characters (got {len(key) - start})", hint)
    if "mapping values are not allowed" in problem:
        return YamlError(line, column, "a second `:` cannot stand here", "put text that holds `: ` in quotes")
    if "could not find expected ':'" in problem:
        return YamlError(line, column, "a key without `:`", "write `key: value`")
    if "unexpected end of stream" in problem or "<stream end>" in problem:
        return YamlError(line, column, "the file ends too early", "close the bracket or quote")
    if "',' or" in problem:
        return YamlError(line, column, "a bracket is not closed, or a comma is missing")
    words = [word for word in (context, problem) if word]
    return YamlError(line, column, "not YAML: " + ", ".join(words).replace("\n", " ")[:160])
