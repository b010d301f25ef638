"""Converting JSON Schemas to the API's format of an answer.

The root must be an object without alternatives: any other schema becomes the only property of an object. ``strict`` is
set only if the API would not refuse it.
"""

from collections.abc import Mapping
from typing import Any

NAME = "answer"
"""The name of the format, and of the property of a wrapped schema."""

_DEFINITIONS = ("$defs", "definitions")
_ALTERNATIVES = ("anyOf", "oneOf", "allOf", "not", "enum", "const", "$ref", "$dynamicRef", "if")
_REFUSED_BY_STRICT = frozenset(
    {
        "oneOf",
        "allOf",
        "not",
        "if",
        "then",
        "else",
        "dependentRequired",
        "dependentSchemas",
        "patternProperties",
        "propertyNames",
        "unevaluatedProperties",
        "unevaluatedItems",
        "prefixItems",
        "contains",
        "minContains",
        "maxContains",
        "uniqueItems",
        "minProperties",
        "maxProperties",
        "$dynamicRef",
    }
)
_OF_NAMES = ("properties", *_DEFINITIONS)
_VALUES = ("enum", "const", "default", "examples")


def answer_format(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the ``text.format`` for answers of this schema."""
    sent = _wrapped(schema) if is_wrapped(schema) else {**schema, "type": "object"}
    return {"type": "json_schema", "name": NAME, "schema": sent, "strict": _is_strict(schema)}


def is_wrapped(schema: Mapping[str, Any]) -> bool:
    """Return whether the schema is sent inside an object."""
    kind = schema.get("type")
    is_object = kind == "object" or (kind is None and "properties" in schema)
    return not is_object or any(key in schema for key in _ALTERNATIVES)


def without_strict(parameters: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the parameters of a request with their format not strict any more; None if it is not strict."""
    text = parameters.get("text")
    wanted = text.get("format") if isinstance(text, Mapping) else None
    if not isinstance(wanted, Mapping) or wanted.get("strict") is not True:
        return None
    return {**parameters, "text": {**dict(text or {}), "format": {**wanted, "strict": False}}}


def _wrapped(schema: Mapping[str, Any]) -> dict[str, Any]:
    inner = {key: _moved(value, key) for key, value in schema.items() if key not in ("$schema", "$id", *_DEFINITIONS)}
    # Definitions stay at the root, where references expect them.
    definitions = {key: _moved(schema[key], key) for key in _DEFINITIONS if key in schema}
    return {
        "type": "object",
        "properties": {NAME: inner},
        "required": [NAME],
        "additionalProperties": False,
        **definitions,
    }


def _moved(value: Any, key: str) -> Any:
    """Return a part of a schema with its references adjusted to the new places."""
    if key in _VALUES:
        return value
    if key == "$ref" and isinstance(value, str):
        stays = not (value == "#" or value.startswith("#/")) or value.startswith(tuple(f"#/{d}/" for d in _DEFINITIONS))
        return value if stays else f"#/properties/{NAME}{value[1:]}"
    if isinstance(value, Mapping):
        # A property may have the name of a keyword.
        names = key in _OF_NAMES
        return {name: _moved(sub, "" if names else name) for name, sub in value.items()}
    return [_moved(sub, "") for sub in value] if isinstance(value, list) else value


def _is_strict(schema: Any) -> bool:
    """Return whether every object closes its properties and requires them all, without keywords that strict refuses."""
    if isinstance(schema, list):
        return all(map(_is_strict, schema))
    if not isinstance(schema, Mapping):
        return True
    if not _REFUSED_BY_STRICT.isdisjoint(schema):
        return False
    kind = schema.get("type")
    if "properties" in schema or kind == "object" or (isinstance(kind, list) and "object" in kind):
        properties = schema.get("properties")
        required = schema.get("required", [])
        if not isinstance(properties, Mapping) or schema.get("additionalProperties") is not False:
            return False
        if not isinstance(required, list) or {name for name in required if isinstance(name, str)} != set(properties):
            return False
    return all(
        all(map(_is_strict, value.values())) if key in _OF_NAMES and isinstance(value, Mapping) else _is_strict(value)
        for key, value in schema.items()
        if key not in _VALUES
    )
