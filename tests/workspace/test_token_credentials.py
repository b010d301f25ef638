import pytest
from inline_snapshot import snapshot

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.workspace.credentials import TokenCredentials, checked_token, credentials_for
from databricks_responses_mcp.workspace.host import WorkspaceHost
from databricks_responses_mcp.workspace.sdk_credentials import SdkCredentials
from databricks_responses_mcp.workspace.settings import load_settings

pytestmark = pytest.mark.anyio

BOTH = {"DATABRICKS_HOST": "https://dbc-a1.cloud.databricks.com/?o=42", "DATABRICKS_TOKEN": "dapi-1"}


async def test_a_host_and_a_token_are_enough() -> None:
    credentials = credentials_for(load_settings(BOTH), BOTH)
    assert isinstance(credentials, TokenCredentials)
    assert await credentials.headers() == snapshot(
        {"Authorization": "Bearer dapi-1", "X-Databricks-Workspace-Id": "42"}
    )
    assert await credentials.host() == WorkspaceHost("https://dbc-a1.cloud.databricks.com", "42")
    assert await credentials.refresh() is False
    assert credentials.describe == "token from DATABRICKS_TOKEN"


async def test_a_workspace_id_of_the_environment_wins_and_none_sends_no_header() -> None:
    environ = {**BOTH, "DATABRICKS_WORKSPACE_ID": "7"}
    assert (await credentials_for(load_settings(environ), environ).headers())["X-Databricks-Workspace-Id"] == "7"
    environ = {**BOTH, "DATABRICKS_HOST": "https://dbc-a1.cloud.databricks.com"}
    assert await credentials_for(load_settings(environ), environ).headers() == {"Authorization": "Bearer dapi-1"}


def test_the_token_is_in_no_representation() -> None:
    assert "dapi-1" not in repr(credentials_for(load_settings(BOTH), BOTH))


@pytest.mark.parametrize(
    "more",
    [
        {"DATABRICKS_CONFIG_PROFILE": "dev"},
        {"DATABRICKS_AUTH_TYPE": "oauth-m2m"},
        {"DATABRICKS_CLIENT_ID": "x"},
        {"ARM_CLIENT_ID": "x"},
        {"DATABRICKS_TOKEN": ""},
        {"DATABRICKS_HOST": ""},
    ],
)
def test_every_other_way_to_sign_in_is_left_to_the_sdk(more: dict[str, str]) -> None:
    environ = {**BOTH, **more}
    assert isinstance(credentials_for(load_settings(environ), environ), SdkCredentials)


def test_a_token_that_was_chosen_is_used_whatever_else_is_set() -> None:
    environ = {**BOTH, "DATABRICKS_AUTH_TYPE": "pat", "DATABRICKS_CLIENT_ID": "x"}
    assert isinstance(credentials_for(load_settings(environ), environ), TokenCredentials)


def test_a_wrong_host_is_told_before_anything_is_asked() -> None:
    environ = {**BOTH, "DATABRICKS_HOST": "my-workspace"}
    with pytest.raises(BridgeError, match="full host name"):
        credentials_for(load_settings(environ), environ)


@pytest.mark.parametrize("raw", [" dapi-1\n", '"dapi-1"', "Bearer dapi-1", "bearer   dapi-1", "'Bearer dapi-1'"])
def test_what_is_copied_along_with_a_token_is_taken_off(raw: str) -> None:
    assert checked_token(raw) == "dapi-1"


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "Bearer ",
        "${DATABRICKS_TOKEN}",
        "$TOKEN",
        "%TOKEN%",
        "{{token}}",
        "<your-token>",
        "dapi...",
        "dapiXXXX",
        "****",
        "secret one secret two",
        "secret\r\nX-Evil: 1",
        "töken-secret",
        "secret\x00",
    ],
)
def test_what_cannot_be_a_token_is_refused_without_echoing_it(raw: str) -> None:
    with pytest.raises(BridgeError) as caught:
        checked_token(raw)
    assert caught.value.code is ErrorCode.NOT_CONFIGURED
    assert "secret" not in str(caught.value)
