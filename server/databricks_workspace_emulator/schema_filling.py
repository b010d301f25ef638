"""Making a value that matches a JSON Schema, from the schema and parts of the prompt."""

import re
from typing import Any

from databricks_workspace_emulator.grammar_filling import fill_regex

_MAX_DEPTH = 6
_ABYSS = 40
_MAX_STEPS = 5_000
_MAX_LENGTH = 10_000
_MAX_ITEMS = 100
_FORMATS = {
    "date": "2026-01-31",
    "time": "09:30:00Z",
    "date-time": "2026-01-31T09:30:00Z",
    "duration": "PT15M",
    "email": "someone@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/",
    "url": "https://example.com/",
    "uuid": "123e4567-e89b-42d3-a456-426614174000",
}
_CANDIDATES = (
    "a",
    "A",
    "0",
    "abc",
    "ABC",
    "123",
    "a-1",
    "A1",
    "2026-01-31",
    "someone@example.com",
    "aaaa",
    "1234",
    "#a1b2c3",
)


def fill(schema: dict[str, Any], prompt: str = "") -> Any:
    """Return a value for ``schema``. Open choices are taken from ``prompt`` if a property's name suggests it.

    Uncommon keywords are ignored, so a value may not match an unusual schema.
    """
    return _Filler(schema, prompt).value(schema, "", 0)


class _Filler:
    def __init__(self, root: dict[str, Any], prompt: str) -> None:
        self._root = root
        self._steps = 0
        self._prompt = " ".join(prompt.split())

    def value(self, schema: Any, name: str, depth: int) -> Any:
        if not isinstance(schema, dict):
            return self._prompt[:40] or "example"
        self._steps += 1
        if depth > _ABYSS or self._steps > _MAX_STEPS:  # nothing matches a schema that requires itself
            return None
        schema = self._resolve(schema)
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return self._pick(schema["enum"])
        for key in ("anyOf", "oneOf"):
            if schema.get(key):
                return self._branch(schema, key, name, depth)
        return self._of_type(schema, name, depth)

    def _of_type(self, schema: dict[str, Any], name: str, depth: int) -> Any:
        match _type_of(schema):
            case "object":
                return self._object(schema, depth)
            case "array":
                return self._array(schema, name, depth)
            case "integer":
                return int(_number(schema, 1))
            case "number":
                return _number(schema, 1)
            case "boolean":
                return True
            case "null":
                return None
        return self._string(schema, name)

    def _resolve(self, schema: dict[str, Any], level: int = 0) -> dict[str, Any]:
        for _ in range(20):
            reference = schema.get("$ref")
            if not isinstance(reference, str) or not reference.startswith("#"):
                break
            target: Any = self._root
            for part in reference.lstrip("#/").split("/") if reference != "#" else []:
                target = target.get(part.replace("~1", "/").replace("~0", "~"), {}) if isinstance(target, dict) else {}
            rest = {key: value for key, value in schema.items() if key != "$ref"}
            schema = {**(target if isinstance(target, dict) else {}), **rest}
        for part in schema.get("allOf", []) if level < _MAX_DEPTH else []:
            rest = {key: value for key, value in schema.items() if key != "allOf"}
            schema = _merged(rest, self._resolve(part, level + 1) if isinstance(part, dict) else {})
        return schema

    def _branch(self, schema: dict[str, Any], key: str, name: str, depth: int) -> Any:
        rest = {k: v for k, v in schema.items() if k != key}
        branches = [self._resolve(part) if isinstance(part, dict) else {} for part in schema[key]]
        branches = [branch for branch in branches if branch.get("type") != "null"] or branches
        # At a certain depth the shortest alternative is taken, so that a recursive schema comes to an end.
        if depth >= _MAX_DEPTH:
            branches.sort(key=lambda branch: _type_of(branch) in ("object", "array"))
            if any(isinstance(part, dict) and part.get("type") == "null" for part in schema[key]):
                return None
        return self.value(_merged(rest, branches[0]), name, depth + 1)

    def _pick(self, options: list[Any]) -> Any:
        mentioned = [one for one in options if isinstance(one, str) and one and one.lower() in self._prompt.lower()]
        return (mentioned or options)[0]

    def _object(self, schema: dict[str, Any], depth: int) -> dict[str, Any]:
        properties: dict[str, Any] = schema.get("properties") or {}
        required = schema.get("required") or []
        wanted = [name for name in properties if name in required or depth < 2]
        wanted += [name for name in required if name not in properties]
        return {name: self.value(properties.get(name, {}), name, depth + 1) for name in wanted}

    def _array(self, schema: dict[str, Any], name: str, depth: int) -> list[Any]:
        first = [self.value(part, name, depth + 1) for part in schema.get("prefixItems", [])]
        least = schema.get("minItems", 0 if depth >= _MAX_DEPTH else 1)
        count = min(max(least, len(first)), schema.get("maxItems", least + len(first)), _MAX_ITEMS)
        rest = [self.value(schema.get("items", {}), name, depth + 1) for _ in range(count - len(first))]
        if schema.get("uniqueItems"):
            rest = _distinct(rest)
        return (first + rest)[: schema.get("maxItems")]

    def _string(self, schema: dict[str, Any], name: str) -> str:
        if pattern := schema.get("pattern"):
            return _matching(pattern, [fill_regex(pattern), *_CANDIDATES, self._prompt])
        text = _FORMATS.get(schema.get("format", "")) or self._hinted(name)
        return text[: schema.get("maxLength")].ljust(min(schema.get("minLength", 0), _MAX_LENGTH), "x")

    def _hinted(self, name: str) -> str:
        """Return a string for a property with this name, from the prompt if it contains one."""
        lowered = name.lower()
        if any(word in lowered for word in ("city", "location", "place", "country")):
            places = re.findall(r"(?:in|for|at|near|to) ((?:[A-Z][\w'-]+)(?: [A-Z][\w'-]+)*)", self._prompt)
            return places[-1] if places else "Paris"
        if any(word in lowered for word in ("path", "file")):
            paths = re.findall(r"[\w./-]+\.\w{1,5}\b", self._prompt)
            return paths[0] if paths else "example.txt"
        if any(word in lowered for word in ("query", "question", "text", "prompt", "input", "message", "search")):
            return self._prompt or "example"
        return f"example {name}".strip()


def _type_of(schema: dict[str, Any]) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), "null")
    if isinstance(kind, str):
        return kind
    if "properties" in schema:
        return "object"
    if "items" in schema or "prefixItems" in schema:
        return "array"
    return "number" if "minimum" in schema or "maximum" in schema else "string"


def _merged(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    merged = {**one, **other}
    for key in ("properties", "$defs"):
        if key in one and key in other:
            merged[key] = {**one[key], **other[key]}
    if "required" in one and "required" in other:
        merged["required"] = [*one["required"], *other["required"]]
    return merged


def _number(schema: dict[str, Any], default: float) -> float:
    step = schema.get("multipleOf") or 1
    low, high = schema.get("minimum"), schema.get("maximum")
    if (above := schema.get("exclusiveMinimum")) is not None:
        low = above + step
    if (below := schema.get("exclusiveMaximum")) is not None:
        high = below - step
    value = default if low is None else max(low, default)
    if high is not None:
        value = min(value, high)
    if schema.get("multipleOf"):
        value = -(-value // step) * step
    return value


def _matching(pattern: str, candidates: list[str]) -> str:
    try:
        found = re.compile(pattern)
    except re.error:
        return candidates[0]
    return next((one for one in candidates if found.search(one)), candidates[0])


def _distinct(values: list[Any]) -> list[Any]:
    return [f"{value} {number}" if isinstance(value, str) and number else value for number, value in enumerate(values)]
