"""Making a short text that matches a grammar: a regular expression, or a grammar in Lark's notation."""

import importlib
import re
from typing import Any

# The standard library's own parser of regular expressions: not public, so a release without it only makes the result
# less exact.
try:
    _parse: Any = importlib.import_module("re._parser").parse
except (ImportError, AttributeError):  # pragma: no cover
    _parse = None

_MAX_DEPTH = 40
_MAX_STEPS = 2_000
_MAX_REPEATS = 200
_MAX_LENGTH = 10_000
_CATEGORIES = {"CATEGORY_DIGIT": "1", "CATEGORY_WORD": "a", "CATEGORY_SPACE": " "}
_NEGATED = {"CATEGORY_NOT_DIGIT": "a", "CATEGORY_NOT_WORD": "-", "CATEGORY_NOT_SPACE": "a"}


def fill_regex(pattern: str) -> str:
    """Return a short text that matches, if the expression has no lookaround or similar; else an approximation."""
    try:
        return _from_nodes(_parse(pattern), {}) if _parse is not None else pattern
    except (re.error, KeyError, OverflowError, RecursionError):
        return pattern


def _from_nodes(nodes: Any, groups: dict[int | None, str]) -> str:
    return "".join(_from_node(str(kind), argument, groups) for kind, argument in nodes)


def _from_node(kind: str, argument: Any, groups: dict[int | None, str]) -> str:
    match kind:
        case "LITERAL":
            return str(chr(argument))
        case "NOT_LITERAL":
            return "a" if chr(argument) != "a" else "b"
        case "ANY":
            return "a"
        case "IN":
            return _from_set(argument)
        case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
            least, most, inner = argument
            # Once rather than never where both are possible: an empty text shows little.
            times = min(int(least or min(1, most)), _MAX_REPEATS)
            return (_from_nodes(inner, groups) * times)[:_MAX_LENGTH]
        case "BRANCH":
            return _from_nodes(argument[1][0], groups)
        case "SUBPATTERN":
            groups[argument[0]] = _from_nodes(argument[3], groups)
            return groups[argument[0]]
        case "ATOMIC_GROUP":
            return _from_nodes(argument, groups)
        case "GROUPREF":
            return groups.get(argument, "")
        case _:
            return ""


def _from_set(parts: Any) -> str:
    parts = [(str(kind), argument) for kind, argument in parts]
    if parts[0][0] == "NEGATE":
        pattern = re.compile("[" + "".join(_set_text(kind, argument) for kind, argument in parts[1:]) + "]")
        return next((chr(code) for code in (*range(97, 123), *range(32, 97)) if not pattern.match(chr(code))), "~")
    kind, argument = parts[0]
    if kind == "RANGE":
        return chr(argument[0])
    if kind == "CATEGORY":
        return {**_CATEGORIES, **_NEGATED}[str(argument)]
    return chr(argument)


def _set_text(kind: str, argument: Any) -> str:
    if kind == "RANGE":
        return f"{re.escape(chr(argument[0]))}-{re.escape(chr(argument[1]))}"
    if kind == "CATEGORY":
        letter = {"DIGIT": "d", "WORD": "w", "SPACE": "s"}[str(argument).rpartition("_")[2]]
        return "\\" + (letter.upper() if "_NOT_" in str(argument) else letter)
    return re.escape(chr(argument))


_IMPORTED = {"NUMBER": "1", "INT": "1", "WS": " ", "NEWLINE": "\n", "LF": "\n", "ESCAPED_STRING": '"a"'}
"""A text of each terminal that grammars import."""
_RULE = re.compile(r"^[?!]?(?P<name>\w+)(?:\.-?\d+)?\s*:(?P<body>.*)$")
_TOKEN = re.compile(r'"(?:\\.|[^"\\])*"i?|/(?:\\.|[^/\\])+/[a-z]*|\w+|[()\[\]|?*+~]|->|\.\.')


def fill_lark(grammar: str) -> str:
    """Return a short text of the grammar's ``start`` rule. Imported terminals and rare operators are approximated."""
    rules: dict[str, list[str]] = {}
    name = ""
    for line in grammar.splitlines():
        text = line.split("//")[0] if '"' not in line and "/" not in line.split("//")[0] else line
        if not text.strip() or text.lstrip().startswith(("%", "//")):
            continue
        if match := _RULE.match(text.strip()):
            name = match["name"]
            rules[name] = _TOKEN.findall(match["body"])
        elif name:
            rules[name] += _TOKEN.findall(text)
    return _Lark(rules).rule("start" if "start" in rules else next(iter(rules), ""), 0)


class _Lark:
    def __init__(self, rules: dict[str, list[str]]) -> None:
        self._rules = rules
        self._steps = 0

    def rule(self, name: str, depth: int) -> str:
        """Return a text of one rule or terminal."""
        self._steps += 1
        if name not in self._rules or depth > _MAX_DEPTH or self._steps > _MAX_STEPS:
            return _IMPORTED.get(name, "a")
        options = _alternatives(self._rules[name])
        # The alternative without a recursion ends it.
        plain = [option for option in options if name not in option] or options
        return self._sequence(plain[min(depth // 12, len(plain) - 1)], depth)

    def _sequence(self, tokens: list[str], depth: int) -> str:
        out, at = "", 0
        while at < len(tokens):
            symbol = tokens[at]
            if symbol == "->":
                at += 2
                continue
            if symbol in "([":
                end = _closing(tokens, at)
                inner = _alternatives(tokens[at + 1 : end])[0]
                text = self._sequence(inner, depth + 1) if symbol == "(" else ""
                at = end
            else:
                text = self._atom(symbol, depth)
            following = tokens[at + 1] if at + 1 < len(tokens) else ""
            out += "" if following in ("?", "*") and following else text
            at += 2 if following in ("?", "*", "+") and following else 1
        return out

    def _atom(self, token: str, depth: int) -> str:
        if token.startswith('"'):
            return token.rstrip("i")[1:-1].encode().decode("unicode_escape")
        if token.startswith("/"):
            return fill_regex(token[1 : token.rindex("/")])
        return self.rule(token, depth + 1) if re.fullmatch(r"\w+", token) else ""


def _alternatives(tokens: list[str]) -> list[list[str]]:
    options: list[list[str]] = [[]]
    depth = 0
    for symbol in tokens:
        depth += (symbol in ("(", "[")) - (symbol in (")", "]"))
        if symbol == "|" and depth == 0:
            options.append([])
        else:
            options[-1].append(symbol)
    return options


def _closing(tokens: list[str], at: int) -> int:
    depth = 0
    for index in range(at, len(tokens)):
        depth += (tokens[index] in ("(", "[")) - (tokens[index] in (")", "]"))
        if depth == 0:
            return index
    return len(tokens)
