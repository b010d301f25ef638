"""The workspace's refusals: the error bodies of Databricks and of the models behind it."""

import json
from typing import Any


class ApiError(Exception):
    """A request that the workspace refuses.

    Attributes:
        status: HTTP status.
        body: a JSON object, or text that is sent unchanged.
        headers: extra response headers.
    """

    def __init__(self, status: int, body: dict[str, Any] | str, headers: dict[str, str] | None = None) -> None:
        super().__init__(f"{status}: {body}")
        self.status = status
        self.body = body
        self.headers = headers or {}


def workspace_error(status: int, error_code: str, message: str) -> ApiError:
    """Return an error of the platform itself: ``{"error_code", "message"}``."""
    return ApiError(status, {"error_code": error_code, "message": message})


def invalid(field: str, message: str) -> ApiError:
    """Return the error for a parameter that the platform refuses; the message names the field."""
    return workspace_error(400, "INVALID_PARAMETER_VALUE", f"Invalid parameter '{field}': {message}")


def model_error(message: str, *, param: str | None, code: str | None = None, status: int = 400) -> ApiError:
    """Return an error of the model behind an endpoint, which the platform passes on as JSON inside its own message."""
    inner = {"error": {"message": message, "type": "invalid_request_error", "param": param, "code": code}}
    return workspace_error(status, "BAD_REQUEST", json.dumps(inner))


def unknown_endpoint(name: str) -> ApiError:
    """Return the error for an endpoint that does not exist."""
    return workspace_error(
        404, "ENDPOINT_NOT_FOUND", f"The endpoint '{name}' does not exist, or you have no permission to see it."
    )


def retired_model() -> ApiError:
    """Return the error for a model that Databricks has retired."""
    hint = "Please see Databricks documentation for supported Foundation Models."
    return workspace_error(404, "NOT_FOUND", f"Pay-per-token for this model is disabled. {hint}")


def bad_request(message: str) -> ApiError:
    """Return a refusal with the platform's most general code, which most refusals by single models have."""
    return workspace_error(400, "BAD_REQUEST", message)


def too_large(size: str, limit: int) -> ApiError:
    """Return the error for a body over the limit; sizes in bytes."""
    return bad_request(
        "Server received a request which exceeds maximum allowed content length. "
        f"RequestSize(bytes): {size}, Limit(bytes): {limit}"
    )


def retired_name(name: str) -> ApiError:
    """Return the error for a legacy model name in a workspace that enforces the gateway."""
    message = f"'{name}' is no longer available. Use Unity Catalog model services (v3)."
    return workspace_error(501, "NOT_IMPLEMENTED", message)


def turned_off(method: str, path: str) -> ApiError:
    """Return the error for a path of an API that is switched off in this workspace."""
    return workspace_error(404, "ENDPOINT_NOT_FOUND", f"No API found for '{method} {path}'")


def wrong_path(path: str) -> ApiError:
    """Return the error for any path that the serving API does not have."""
    return workspace_error(
        404,
        "RESOURCE_DOES_NOT_EXIST",
        f"No API at {path}. Path must be of form /serving-endpoints/<endpoint_name>/invocations",
    )
