"""How the workspace says no: the error bodies of Databricks and of the models behind it."""

import json
from typing import Any


class ApiError(Exception):
    """A request the workspace refuses.

    Attributes:
        status: HTTP status.
        body: a JSON object, or text to be sent as it is.
        headers: extra response headers.
    """

    def __init__(self, status: int, body: dict[str, Any] | str, headers: dict[str, str] | None = None) -> None:
        super().__init__(f"{status}: {body}")
        self.status = status
        self.body = body
        self.headers = headers or {}


def workspace_error(status: int, error_code: str, message: str) -> ApiError:
    """An error of the platform itself: ``{"error_code", "message"}``."""
    return ApiError(status, {"error_code": error_code, "message": message})


def invalid(field: str, message: str) -> ApiError:
    """A parameter the platform refuses; the message names the field."""
    return workspace_error(400, "INVALID_PARAMETER_VALUE", f"Invalid parameter '{field}': {message}")


def model_error(message: str, *, param: str | None, code: str | None = None, status: int = 400) -> ApiError:
    """An error of the model behind an endpoint, which the platform passes on as JSON inside its own message."""
    inner = {"error": {"message": message, "type": "invalid_request_error", "param": param, "code": code}}
    return workspace_error(status, "BAD_REQUEST", json.dumps(inner))


def unknown_endpoint(name: str) -> ApiError:
    """What a query to an endpoint that is not there gets."""
    return workspace_error(
        404, "ENDPOINT_NOT_FOUND", f"The endpoint '{name}' does not exist, or you have no permission to see it."
    )


def retired_model() -> ApiError:
    """What a query to a model gets that Databricks has retired."""
    hint = "Please see Databricks documentation for supported Foundation Models."
    return workspace_error(404, "NOT_FOUND", f"Pay-per-token for this model is disabled. {hint}")


def bad_request(message: str) -> ApiError:
    """A refusal in the platform's most general code, which most of those of single models have."""
    return workspace_error(400, "BAD_REQUEST", message)


def too_large(size: str, limit: int) -> ApiError:
    """What a body gets that is over the limit; sizes in bytes."""
    return bad_request(
        "Server received a request which exceeds maximum allowed content length. "
        f"RequestSize(bytes): {size}, Limit(bytes): {limit}"
    )


def retired_name(name: str) -> ApiError:
    """What a workspace that enforces the gateway says of the old names of models."""
    message = f"'{name}' is no longer available. Use Unity Catalog model services (v3)."
    return workspace_error(501, "NOT_IMPLEMENTED", message)


def turned_off(method: str, path: str) -> ApiError:
    """What a path of an API gets that this workspace does not have."""
    return workspace_error(404, "ENDPOINT_NOT_FOUND", f"No API found for '{method} {path}'")


def wrong_path(path: str) -> ApiError:
    """What any path that the serving API does not know gets."""
    return workspace_error(
        404,
        "RESOURCE_DOES_NOT_EXIST",
        f"No API at {path}. Path must be of form /serving-endpoints/<endpoint_name>/invocations",
    )
