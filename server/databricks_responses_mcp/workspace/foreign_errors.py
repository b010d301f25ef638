"""Values of other programs in error texts, as sentences.

Servers in other languages answer with what their libraries print: Python's ``repr`` of a list of dictionaries, the text
of a pydantic ``ValidationError``, or Go's message about a JSON value of the wrong type. Pure functions.
"""

import ast
import re
from collections.abc import Mapping, Sequence
from typing import Any

_MAX_LITERAL = 20_000
"""In characters; a longer value is not parsed."""
_MAX_PROBLEMS = 5
_LITERAL = re.compile(r"\[\s*\{\s*['\"]|\{\s*['\"]|\[\s*['\"(]")
_PYDANTIC = re.compile(r"\b\d+ validation errors? for \S+")
_PYDANTIC_PROBLEM = re.compile(r"^(?P<place>\S.*)\n +(?P<problem>[^\n]+?)(?: \[type=[^\n]*)?$", re.MULTILINE)
_GO = re.compile(
    r"cannot unmarshal (?P<kind>\w+) into Go (?:struct field \S*?\.(?P<field>[\w.]+)|value) of type (?P<type>\S+)"
)


def literal_in(text: str) -> Any:
    """Return the list or dictionary at the end of a text, in Python's syntax; None if there is none."""
    found = _LITERAL.search(text[:_MAX_LITERAL])
    if found is None or len(text) > _MAX_LITERAL:
        return None
    closing = "]" if found[0].startswith("[") else "}"
    literal = text[found.start() : text.rfind(closing) + 1]
    try:
        value = ast.literal_eval(literal)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return None
    return value if isinstance(value, list | dict) else None


def problems_in(values: Sequence[Any]) -> str | None:
    """Return validation errors in the format of FastAPI and pydantic as one sentence; None for another format.

    The caller's input, which such errors repeat, is left out.
    """
    told: list[str] = []
    for value in values[:_MAX_PROBLEMS]:
        message = value.get("msg") if isinstance(value, Mapping) else None
        if not isinstance(message, str):
            return None
        place = value.get("loc")
        parts = [str(part) for part in place if part != "body"] if isinstance(place, list | tuple) else []
        told.append(f"{'.'.join(parts)}: {message}" if parts else message)
    more = len(values) - len(told)
    return "; ".join(dict.fromkeys(told)) + (f"; and {more} more" if more else "") if told else None


def in_words(text: str) -> str:
    """Return a text with a value of another language replaced by a sentence; other texts are unchanged."""
    if _PYDANTIC.search(text):
        told = [f"{found['place']}: {found['problem']}" for found in _PYDANTIC_PROBLEM.finditer(text)]
        told = [one for one in told if not _PYDANTIC.search(one) and "errors.pydantic.dev" not in one]
        return "; ".join(told[:_MAX_PROBLEMS]) or text
    if found := _GO.search(text):
        return f"{found['field'] or 'The body'} takes {_go_type(found['type'])}, not {_article(found['kind'])}"
    return text


def _go_type(name: str) -> str:
    bare = name.lstrip("*")
    if bare.startswith("[]"):
        return "a list"
    if bare.startswith("map[") or (bare[:1].isalpha() and "." in bare):
        return "an object"
    return _article({"int": "number", "float64": "number", "bool": "boolean"}.get(bare.rstrip("0123456789"), bare))


def _article(noun: str) -> str:
    return f"{'an' if noun[:1] in 'aeiou' else 'a'} {noun}"
