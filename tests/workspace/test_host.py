import textwrap

import pytest
from inline_snapshot import snapshot

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.workspace.host import normalise_host

GOOD = [
    "https://adb-1234567890123456.7.azuredatabricks.net",
    " https://adb-1.2.azuredatabricks.net/ ",
    '"adb-1.2.azuredatabricks.net"',
    "\u201chttps://adb-1.2.azuredatabricks.net\u201d",
    "HTTPS://DBC-A1.CLOUD.DATABRICKS.COM./",
    "https://dbc-a1.cloud.databricks.com/serving-endpoints",
    "https://dbc-a1.cloud.databricks.com/serving-endpoints/databricks-gpt-5/invocations",
    "https://dbc-a1.cloud.databricks.com/ai-gateway/openai/v1/",
    "https://dbc-a1.cloud.databricks.com/api/2.0/serving-endpoints",
    "https://dbc-a1.cloud.databricks.com/ml/endpoints/x?o=123",
    "https://dbc-a1.cloud.databricks.com/?o=7405609812345678#setting/clusters",
    "https://dbc-a1.cloud.databricks.com/browse/folders/1?o=42&x=1",
    "https://adb-1.2.azuredatabricks.net/#job/1?o=99",
    "https://dbc-a1.cloud.databricks.com/?o=not-a-number",
    "https://dbc-a1.cloud.databricks.com:443",
    "https://models.example.org:8443/serving-endpoints",
    "1234567890123456.7.gcp.databricks.com",
    "//dbc-a1.cloud.databricks.com",
    "http://localhost:8080/serving-endpoints/responses",
    "http://127.0.0.1:8080",
    "http://[::1]:8080/",
    "https://10.0.0.5",
]
BAD = [
    "",
    '  ""  ',
    "http://dbc-a1.cloud.databricks.com",
    "https://accounts.cloud.databricks.com",
    "accounts.azuredatabricks.net",
    "https://accounts.gcp.databricks.com/login",
    "https://my-app-123.aws.databricksapps.com",
    "https://docs.databricks.com/en/index.html",
    "https://www.databricks.com",
    "1234567890123456",
    "my-workspace",
    "https://",
    "https://a..b.example.com",
    "https://exa mple.com",
    "ftp://dbc-a1.cloud.databricks.com",
    "https://dbc-a1.cloud.databricks.com:port",
    "https://dbc-a1.cloud.databricks.com:99999",
    "https://[::1",
    "https://proxy.example.org/databricks",
    "${DATABRICKS_HOST}",
    "${env:DATABRICKS_HOST}",
    "%DATABRICKS_HOST%",
    "$DATABRICKS_HOST",
    "https://<workspace>.databricks.com",
    "dev@example.com",
]
SECRETS = [
    "https://token:dapi0123456789abcdef0123456789abcdef@dbc-a1.cloud.databricks.com",
    "dapi0123456789abcdef0123456789abcdef@dbc-a1.cloud.databricks.com",
    "dapi0123456789abcdef0123456789abcdef",
]


def test_what_people_paste_becomes_an_origin() -> None:
    found = {raw: normalise_host(raw) for raw in GOOD}
    assert {raw: (host.origin, host.workspace_id) for raw, host in found.items()} == snapshot(
        {
            "https://adb-1234567890123456.7.azuredatabricks.net": (
                "https://adb-1234567890123456.7.azuredatabricks.net",
                None,
            ),
            " https://adb-1.2.azuredatabricks.net/ ": ("https://adb-1.2.azuredatabricks.net", None),
            '"adb-1.2.azuredatabricks.net"': ("https://adb-1.2.azuredatabricks.net", None),
            "“https://adb-1.2.azuredatabricks.net”": ("https://adb-1.2.azuredatabricks.net", None),
            "HTTPS://DBC-A1.CLOUD.DATABRICKS.COM./": ("https://dbc-a1.cloud.databricks.com", None),
            "https://dbc-a1.cloud.databricks.com/serving-endpoints": ("https://dbc-a1.cloud.databricks.com", None),
            "https://dbc-a1.cloud.databricks.com/serving-endpoints/databricks-gpt-5/invocations": (
                "https://dbc-a1.cloud.databricks.com",
                None,
            ),
            "https://dbc-a1.cloud.databricks.com/ai-gateway/openai/v1/": ("https://dbc-a1.cloud.databricks.com", None),
            "https://dbc-a1.cloud.databricks.com/api/2.0/serving-endpoints": (
                "https://dbc-a1.cloud.databricks.com",
                None,
            ),
            "https://dbc-a1.cloud.databricks.com/ml/endpoints/x?o=123": ("https://dbc-a1.cloud.databricks.com", "123"),
            "https://dbc-a1.cloud.databricks.com/?o=7405609812345678#setting/clusters": (
                "https://dbc-a1.cloud.databricks.com",
                "7405609812345678",
            ),
            "https://dbc-a1.cloud.databricks.com/browse/folders/1?o=42&x=1": (
                "https://dbc-a1.cloud.databricks.com",
                "42",
            ),
            "https://adb-1.2.azuredatabricks.net/#job/1?o=99": ("https://adb-1.2.azuredatabricks.net", "99"),
            "https://dbc-a1.cloud.databricks.com/?o=not-a-number": ("https://dbc-a1.cloud.databricks.com", None),
            "https://dbc-a1.cloud.databricks.com:443": ("https://dbc-a1.cloud.databricks.com", None),
            "https://models.example.org:8443/serving-endpoints": ("https://models.example.org:8443", None),
            "1234567890123456.7.gcp.databricks.com": ("https://1234567890123456.7.gcp.databricks.com", None),
            "//dbc-a1.cloud.databricks.com": ("https://dbc-a1.cloud.databricks.com", None),
            "http://localhost:8080/serving-endpoints/responses": ("http://localhost:8080", None),
            "http://127.0.0.1:8080": ("http://127.0.0.1:8080", None),
            "http://[::1]:8080/": ("http://[::1]:8080", None),
            "https://10.0.0.5": ("https://10.0.0.5", None),
        }
    )


def test_an_origin_stays_what_it_is() -> None:
    for raw in GOOD:
        origin = normalise_host(raw).origin
        assert normalise_host(origin).origin == origin


def _refusal(raw: str) -> BridgeError:
    with pytest.raises(BridgeError) as caught:
        normalise_host(raw)
    assert caught.value.code is ErrorCode.NOT_CONFIGURED
    return caught.value


def test_what_is_no_workspace_is_explained() -> None:
    assert {raw: textwrap.wrap(_refusal(raw).message, 80) for raw in BAD} == snapshot(
        {
            "": ["The workspace's address is empty."],
            '  ""  ': ["The workspace's address is empty."],
            "http://dbc-a1.cloud.databricks.com": [
                "The workspace's address http://dbc-a1.cloud.databricks.com is not encrypted."
            ],
            "https://accounts.cloud.databricks.com": [
                "accounts.cloud.databricks.com is the account console, not a workspace: it serves",
                "no models.",
            ],
            "accounts.azuredatabricks.net": [
                "accounts.azuredatabricks.net is the account console, not a workspace: it serves",
                "no models.",
            ],
            "https://accounts.gcp.databricks.com/login": [
                "accounts.gcp.databricks.com is the account console, not a workspace: it serves",
                "no models.",
            ],
            "https://my-app-123.aws.databricksapps.com": [
                "my-app-123.aws.databricksapps.com is a Databricks App, not a workspace."
            ],
            "https://docs.databricks.com/en/index.html": ["docs.databricks.com is a website, not a workspace."],
            "https://www.databricks.com": ["www.databricks.com is a website, not a workspace."],
            "1234567890123456": ["The workspace's address is only a number; that looks like a workspace id."],
            "my-workspace": ["The workspace's address is not a URL with a full host name."],
            "https://": ["The workspace's address is not a URL with a full host name."],
            "https://a..b.example.com": ["The workspace's address is not a URL with a full host name."],
            "https://exa mple.com": ["The workspace's address is not a URL with a full host name."],
            "ftp://dbc-a1.cloud.databricks.com": ["The workspace's address starts with ftp://, not https://."],
            "https://dbc-a1.cloud.databricks.com:port": ["The workspace's address is not a URL."],
            "https://dbc-a1.cloud.databricks.com:99999": ["The workspace's address is not a URL."],
            "https://[::1": ["The workspace's address is not a URL."],
            "https://proxy.example.org/databricks": [
                "The workspace's address has a path, /databricks, that no workspace has."
            ],
            "${DATABRICKS_HOST}": ["The workspace's address is a placeholder that was never filled in."],
            "${env:DATABRICKS_HOST}": ["The workspace's address is a placeholder that was never filled in."],
            "%DATABRICKS_HOST%": ["The workspace's address is a placeholder that was never filled in."],
            "$DATABRICKS_HOST": ["The workspace's address is a placeholder that was never filled in."],
            "https://<workspace>.databricks.com": ["The workspace's address is not a URL with a full host name."],
            "dev@example.com": ["The workspace's address carries a user name or token before an @."],
        }
    )


def test_a_refusal_shows_what_a_host_looks_like_on_each_cloud() -> None:
    hint = _refusal("my-workspace").hint
    assert all(cloud in hint for cloud in ("cloud.databricks.com", "azuredatabricks.net", "gcp.databricks.com"))


@pytest.mark.parametrize("raw", SECRETS)
def test_a_token_in_the_address_is_refused_without_echoing_it(raw: str) -> None:
    assert "0123456789" not in str(_refusal(raw))
