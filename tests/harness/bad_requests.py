"""Invalid requests that have an id."""

import json
from typing import Any

from harness.stdio_process import ASK

META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}


def _nested_schema(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(levels):
        schema = {"type": "object", "properties": {"a": schema}}
    return schema


def _call(identifier: Any, arguments: str, meta: str) -> str:
    params = f'{{"name":"{ASK}","arguments":{arguments},"_meta":{meta}}}'
    return f'{{"jsonrpc":"2.0","id":{json.dumps(identifier)},"method":"tools/call","params":{params}}}'


def bad_requests(meta: str) -> dict[str, str]:
    """Return the requests by id; ``meta`` is the JSON of their ``_meta``."""
    schema = json.dumps({"prompt": "x", "output_schema": _nested_schema(100)})
    return {
        "surrogate": _call("surrogate", r'{"prompt":"[[say ok]] \ud83d"}', meta),
        "nesting": _call("nesting", '{"prompt":' + "[" * 250 + "]" * 250 + "}", meta),
        "digits": _call("digits", '{"prompt":"x","max_output_tokens":' + "9" * 4301 + "}", meta),
        "schema": _call("schema", schema, meta),
        "params": '{"jsonrpc":"2.0","id":"params","method":"tools/call","params":["x"]}',
        "version": '{"id":"version","method":"tools/list"}',
        "method": '{"jsonrpc":"2.0","id":"method","method":123}',
        "batch": '[{"jsonrpc":"2.0","id":"batch","method":"ping"}]',
        "cut": '{"jsonrpc":"2.0","id":"cut","method":"tools/li',
    }
