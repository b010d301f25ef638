"""Answers to requests that are refused before MCP reads them."""

import json
from collections.abc import Mapping

from starlette.authentication import AuthenticationError
from starlette.requests import HTTPConnection
from starlette.responses import Response

_INVALID_REQUEST = -32600


class SignInError(AuthenticationError):
    """A request whose user is not known, and the answer to it.

    Args:
        status: the HTTP status of the answer.
        text: the problem and its remedy, without secrets.
        headers: further headers of the answer.
    """

    def __init__(self, status: int, text: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.headers = dict(headers or {})


def refusal(status: int, text: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return an answer that people read as well as MCP clients."""
    body = {"jsonrpc": "2.0", "id": None, "error": {"code": _INVALID_REQUEST, "message": text}}
    return Response(json.dumps(body), status, headers, "application/json")


def sign_in_refusal(_: HTTPConnection, error: AuthenticationError) -> Response:
    """Return the answer to a request that could not be signed in."""
    assert isinstance(error, SignInError)
    return refusal(error.status, error.text, error.headers)
