"""Secrets are taken out by their value, in every form in which they come back."""

import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.responses.payloads import Payload
from databricks_responses_mcp.workspace.secret_values import SecretValues

ODD = 'Zürich/"pa ss"\\%41@x'


def known(*values: str) -> SecretValues:
    secrets = SecretValues()
    secrets.add(*values)
    return secrets


@pytest.mark.parametrize(
    "seen",
    [ODD, quote(ODD, safe=""), json.dumps(ODD), json.dumps(ODD, ensure_ascii=False), repr(ODD), f"Bearer {ODD}"],
    ids=["as it is", "in a URL", "in JSON", "in JSON as Unicode", "in Python", "in a header"],
)
def test_a_secret_of_any_shape_is_redacted_in_every_encoding(seen: str) -> None:
    assert "rich" not in known(f" Bearer {ODD}\n").remove(f"seen: {seen}")


@given(st.text(min_size=6).filter(lambda text: len(text.strip()) >= 6), st.text(), st.text())
def test_no_text_around_a_secret_hides_it(secret: str, before: str, after: str) -> None:
    secrets = known(secret)
    value = {"key": [before + secret + after, (secret,)], secret: 1}
    assert secret.strip() not in json.dumps(secrets.remove_from(value), ensure_ascii=False).replace("[redacted]", "")


@pytest.mark.parametrize(
    "beside",
    [
        "half a character: \ud83d",
        Payload(memoryview(b"QUJD")),
        float("nan"),
        {"deep": json.loads("[" * 400 + "]" * 400)},
    ],
    ids=["half a surrogate pair", "a picture", "no number", "nested deeply"],
)
def test_a_secret_is_found_beside_what_has_no_json(beside: Any) -> None:
    value = {"beside": beside, "texts": [("a hunter22-token",)], "hunter22-token": 1}

    removed = known("hunter22-token").remove_from(value)

    assert removed["texts"] == [("a [redacted]",)]
    assert removed["[redacted]"] == 1
    assert removed["beside"] is beside or removed["beside"] == beside


def test_a_value_without_secrets_is_returned_as_it_is_and_not_built_again() -> None:
    value = {"text": "nothing secret", "items": [{"type": "message"}], "picture": Payload(memoryview(b"QUJD"))}
    assert known("hunter22-token").remove_from(value) is value


def test_the_longer_of_two_secrets_goes_first() -> None:
    assert known("secret-1", "secret-1-and-more").remove("secret-1-and-more") == "[redacted]"


@pytest.mark.parametrize("value", ["", "     ", "short", "Bearer ab"])
def test_what_is_too_short_to_be_a_secret_maims_no_words(value: str) -> None:
    assert known(value).remove("a short Bearer of absolute news") == "a short Bearer of absolute news"


@pytest.mark.parametrize(
    ("url", "secret"),
    [
        ("postgresql://user:hunter22@host/db", "hunter22"),
        ("postgres:/user:hunter22@host/db", "hunter22"),
        ("postgresql:user:hunter22@host", "hunter22"),
        ("postgresql//user:hunter22@host/db", "hunter22"),
        ("user:hunter22@host:5432/db", "hunter22"),
        ("http://user:hunter22/x@proxy:8080", "hunter22"),
        ("http://user:hunter22@x@proxy:8080", "hunter22"),
        ("http://user:hunter%2F22@proxy:8080", "hunter/22"),
        ("host=db password=hunter22 user=me", "hunter22"),
        ("postgresql://host/db?user=me&password=hunter22", "hunter22"),
        ("https://a-token-as-the-user-name@host", "a-token-as-the-user-name"),
    ],
)
def test_the_password_of_a_url_is_known_even_if_the_url_is_mistyped(url: str, secret: str) -> None:
    secrets = SecretValues()
    secrets.add_url(url)
    assert secret not in secrets.remove(f"no such thing: {secret}!")
    assert secret not in secrets.remove(url)


@pytest.mark.parametrize(
    "url",
    [
        "/home/me@work/long-folder.db",
        "C:\\Users\\me@work\\x.db",
        "http://username@host",
        "https://username.example:8080/Users/home",
        "",
    ],
)
def test_what_holds_no_password_makes_nothing_secret(url: str) -> None:
    secrets = SecretValues()
    secrets.add_url(url)
    text = "/home/me username C:\\Users 8080/Users/hom username.exampl"
    assert secrets.remove(text) == text


def test_the_environment_names_what_is_secret() -> None:
    secrets = SecretValues()
    environ = {
        "DATABRICKS_TOKEN": "secret-a",
        "DATABRICKS_CLIENT_SECRET": "secret-b",
        "ARM_CLIENT_SECRET": "secret-c",
        "https_proxy": "http://u:secret-d@p:1",
        "RESPONSES_MCP_STORE": "postgresql://u:secret-e@h/d",
        "PGPASSWORD": "secret-f",
        "RESPONSES_MCP_ENGINE_API_KEY": "secret-g",
        "DATABRICKS_HOST": "https://plain-host.example",
        "DATABRICKS_TOKEN_PATH": "plain-path",
        "LANG": "plain-language",
    }
    secrets.add_environment(environ)
    text = " ".join(f"secret-{letter}" for letter in "abcdefg") + " plain-host plain-path plain-language"
    assert secrets.remove(text) == "[redacted] " * 7 + "plain-host plain-path plain-language"


def test_an_error_is_cleaned_whole() -> None:
    error = BridgeError(ErrorCode.INTERNAL, "a secret-1", "b secret-1", partial={"text": "c secret-1", "n": 1})
    cleaned = known("secret-1").remove_from_error(error)
    assert error.message == "a secret-1"
    assert (cleaned.message, cleaned.hint, cleaned.partial) == (
        "a [redacted]",
        "b [redacted]",
        {"text": "c [redacted]", "n": 1},
    )


def test_tokens_that_are_renewed_for_ever_are_not_kept_for_ever() -> None:
    secrets = SecretValues()
    for number in range(2000):
        secrets.add(f"token-{number:05}")
    assert secrets.remove("token-01999") == "[redacted]"
    assert secrets.remove("token-00000") == "token-00000"
