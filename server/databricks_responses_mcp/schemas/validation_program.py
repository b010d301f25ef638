"""The program that validates values against a JSON Schema, in a separate process that can be ended.

It reads ``{"schema": …, "values": […]}`` from stdin, without ``values`` to check only the schema, and writes a
`SchemaCheck`.
"""

import json
import re
import sys
from dataclasses import asdict
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, best_match
from jsonschema.validators import extend
from referencing import Registry
from referencing.exceptions import Unresolvable

from databricks_responses_mcp.bounded_process import limit_this_process
from databricks_responses_mcp.schemas.validation_result import CPU_SECONDS, MEMORY_BYTES, SchemaCheck, Verdict

_MAX_CHARACTERS = 300


def main() -> None:
    """Process one request."""
    limit_this_process(cpu_seconds=CPU_SECONDS, memory_bytes=MEMORY_BYTES)
    request = json.load(sys.stdin)
    try:
        checked = _check(request)
    except RecursionError:
        checked = SchemaCheck(Verdict.UNUSABLE, "it refers to itself without end, or the value nests too deep")
    except MemoryError:
        checked = SchemaCheck(Verdict.LIMIT_EXCEEDED, "checking with it takes too much memory")
    json.dump(asdict(checked), sys.stdout)


def _check(request: dict[str, Any]) -> SchemaCheck:
    schema = request["schema"]
    problems = []
    try:
        if "values" not in request:
            Draft202012Validator.check_schema(schema)
            return SchemaCheck(Verdict.MATCH)
        validator = _validator(schema)
        for number, value in enumerate(request["values"]):
            if (error := best_match(validator.iter_errors(value))) is None:
                return SchemaCheck(Verdict.MATCH, number=number)
            problems.append(_describe(error))
    except SchemaError as error:
        return SchemaCheck(Verdict.INVALID_SCHEMA, _describe(error))
    except Unresolvable as error:
        return SchemaCheck(Verdict.UNUSABLE, f"it refers to {error.ref[:_MAX_CHARACTERS]!r}, which is not there")
    except re.error as error:
        return SchemaCheck(Verdict.UNUSABLE, f"it has a pattern that Python does not read ({error})")
    return SchemaCheck(Verdict.NO_MATCH, problems[0] if problems else "there is no value")


def _describe(error: Any) -> str:
    return f"{error.json_path[:_MAX_CHARACTERS]}: {error.message[:_MAX_CHARACTERS]}"


def _validator(schema: dict[str, Any]) -> Any:
    # The registry is empty, so nothing is fetched. Patterns are not checked: their syntax in the API is not Python's.
    make: Any = extend
    checks = make(Draft202012Validator, {"pattern": _pass, "patternProperties": _pass})
    return checks(schema, registry=Registry())


def _pass(*_: Any) -> None:
    """Accept every value."""


if __name__ == "__main__":
    main()
