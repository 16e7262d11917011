"""Why a file is not YAML that a spec can have, in plain words."""

from __future__ import annotations

import re
from typing import Any

from airflow_provider_cio.specs.problems import cut

#: Matches a character that YAML does not allow.
_UNPRINTABLE = re.compile("[^\t\n\r -~\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
#: Matches the end of a line in YAML.
YAML_LINES = re.compile("\r\n|[\n\r\x85\u2028\u2029]")


class NotYamlError(Exception):
    """A file is not YAML, or not YAML that a spec can have.

    Args:
        message: What is wrong. It never quotes the file.
        line: The line of the mistake, from 1.
        column: The column of the mistake, from 1.
    """

    def __init__(self, message: str, line: int = 1, column: int = 1) -> None:
        super().__init__(message)
        self.line = line
        self.column = column


def syntax_error(error: Any, text: str) -> NotYamlError:
    """Explain a syntax error. The messages of libyaml never quote the file, so they can be repeated."""
    mark = error.problem_mark or error.context_mark
    number, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    lines = YAML_LINES.split(text)
    line = lines[number - 1] if number <= len(lines) else ""
    indent = line[: len(line) - len(line.lstrip(" \t"))]
    if "\t" in indent:
        return NotYamlError("is indented with a tab: YAML needs spaces", number, indent.index("\t") + 1)
    if star := re.search(r":[ \t]+\*", line):
        message = 'a text that begins with * needs quotes, such as "*/30 * * * *"'
        return NotYamlError(message, number, star.end())
    if error.problem and "mapping values are not allowed" in error.problem:
        message = 'is not YAML: a text with ": " in it needs quotes, or the line above is not finished'
        return NotYamlError(message, number, column)
    return NotYamlError(f"is not YAML: {cut(error.problem or 'the file cannot be read')}", number, column)


def character_error(text: str) -> NotYamlError:
    """Name the character that YAML does not allow."""
    found = _UNPRINTABLE.search(text)
    if not found:
        return NotYamlError("is not YAML: its characters cannot be read")
    lines = YAML_LINES.split(text[: found.start()])
    message = f"has the character U+{ord(found.group()):04X}, which YAML does not allow"
    return NotYamlError(message, len(lines), len(lines[-1]) + 1)
