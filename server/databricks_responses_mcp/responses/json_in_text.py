"""The JSON in a model's text: alone, in a fence of any kind, with text around it, or after its reasoning."""

import json
import re
from collections.abc import Iterator
from typing import Any

_THOUGHTS = re.compile(r"<(think|thinking|reasoning)>.*?</\1>", re.IGNORECASE | re.DOTALL)
_END_OF_THOUGHTS = re.compile(r"</(?:think|thinking|reasoning)>", re.IGNORECASE)
_FENCE = re.compile(r"^[ \t]*(`{3,}|~{3,})[ \t]*([^\n`{\[]*)", re.MULTILINE)
_START = re.compile(r"[{\[]")
_MAX_TRIES = 100
"""The maximum number of places in a text where a JSON value may begin."""

_DECODER = json.JSONDecoder(parse_constant=lambda name: _refuse(name))


def parse(text: str) -> Any:
    """Return the JSON value of a text.

    Raises:
        ValueError: one line that says why the text is not JSON.
    """
    try:
        return json.loads(text.strip().removeprefix("\ufeff"), parse_constant=_refuse)
    except RecursionError as error:
        raise ValueError("it nests too deep") from error
    except ValueError as error:
        raise ValueError(f"it is not JSON ({error})") from error


def is_json(text: str) -> bool:
    """Return whether a text is JSON, or what Python's parser accepts: ``NaN`` too."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def values_in(text: str) -> Iterator[Any]:
    """Yield the JSON values in a text that is not JSON itself, the most likely first; some may be repeated."""
    bare = _without_thoughts(text).strip()
    if bare != text.strip():
        yield from _parsed(bare)
    for inside in _fenced(bare):
        yield from _parsed(inside)
    yield from _among_words(bare)


def _without_thoughts(text: str) -> str:
    if not (ends := list(_END_OF_THOUGHTS.finditer(text))):
        return text
    # Some templates leave out the opening tag.
    answer = text[ends[-1].end() :]
    return answer if answer.strip() else _THOUGHTS.sub("", text)


def _fenced(text: str) -> Iterator[str]:
    at = 0
    while (opening := _FENCE.search(text, at)) is not None:
        end = text.find(opening[1], opening.end())
        if end < 0:
            # The closing fence may be missing.
            yield text[opening.end() :]
            return
        yield text[opening.end() : end]
        at = end + len(opening[1])


def _among_words(text: str) -> Iterator[Any]:
    at = tries = 0
    while tries < _MAX_TRIES and (start := _START.search(text, at)) is not None:
        tries += 1
        try:
            value, at = _DECODER.raw_decode(text, start.start())
        except RecursionError:
            return
        except ValueError:
            at = start.end()
        else:
            yield value


def _parsed(text: str) -> Iterator[Any]:
    try:
        yield parse(text)
    except ValueError:
        return


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")
