import subprocess
import sys
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from databricks_responses_mcp.workspace.redaction import clean, html_to_text, redact
from harness.deadlines import DEADLINE_SECONDS

HEX = "0123456789abcdef0123456789abcdef"
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.c2lnbmF0dXJlLXNpZ25hdHVyZQ"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"token dapi{HEX}-2 refused", "token [redacted] refused"),
        (f"secret dose{HEX}", "secret [redacted]"),
        (f"Authorization: Bearer {HEX}", "Authorization: Bearer [redacted]"),
        ("authorization: basic dG9rZW46ZGFwaTEyMw==", "authorization: basic [redacted]"),
        (f"got {JWT}.", "got [redacted]"),
        (f"cut {JWT[:40]}", "cut [redacted]"),
        ("key sk-proj-abc_DEF-1234567890", "key [redacted]"),
        ("ghp_0123456789abcdefABCDEF0123", "[redacted]"),
        ("AKIAABCDEFGHIJKLMNOP", "[redacted]"),
        (
            "https://user:hunter2hunter2@example.com/x",
            "https[redacted]".replace("https", "https://") + "@example.com/x",
        ),
        ("DATABRICKS_CLIENT_SECRET=abcdefgh12345", "DATABRICKS_CLIENT_SECRET=[redacted]"),
        ('{"access_token": "abcdefgh12345"}', '{"access_token": "[redacted]"}'),
        ("https://x/?sig=abcdefgh12345&sp=r", "https://x/?sig=[redacted]&sp=r"),
        ("password: correcthorsebattery", "password: [redacted]"),
    ],
)
def test_credentials_of_known_shapes_are_redacted(text: str, expected: str) -> None:
    assert redact(text) == expected


@pytest.mark.parametrize("change_case", [str.lower, str.upper, str.swapcase])
@pytest.mark.parametrize(
    "text",
    [
        *(f"{scheme} {HEX}" for scheme in ("Bearer", "Basic")),
        *(f"{start}{HEX}" for start in ("dapi", "dose", "dkea", "dsapi", "doauth", "sk-", "eyJ", "AIza")),
        *(f"{start}{HEX}" for start in ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_")),
        *(f"{start}ABCDEFGHIJKLMNOP" for start in ("AKIA", "ASIA")),
        *(f"{name}={HEX}" for name in ("token", "api_key", "apikey", "access-key", "client_secret", "password")),
        *(f"{name}: {HEX}" for name in ("passwd", "secret", "code_verifier", "assertion", "sig", "signature")),
        f"ftp://user:{HEX}@example.com",
    ],
)
def test_credentials_are_redacted_in_any_case(text: str, change_case: Callable[[str], str]) -> None:
    redacted = redact(change_case(text))
    assert "[redacted]" in redacted
    assert HEX[:16] not in redacted.lower()


def test_letters_that_are_the_same_without_case_do_not_hide_a_credential() -> None:
    kelvin, long_s = "\u212a", "\u017f"
    assert redact(f"{long_s}{kelvin}-{HEX}") == "[redacted]"
    assert redact(f"pa{long_s}{long_s}word={HEX}") == f"pa{long_s}{long_s}word=[redacted]"


@pytest.mark.parametrize(
    "text",
    [
        "ITPM limit of 200,000 tokens reached",
        "max_output_tokens: 16384",
        "Invalid Token",
        "The basic idea; bearer of news",
        "Path must be of form /serving-endpoints/<endpoint_name>/invocations",
        "model databricks-gpt-5 is not ready (task-1234567890)",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert clean(text) == text


def test_a_secret_hidden_by_invisible_characters_is_redacted() -> None:
    assert clean(f"dapi01234567\u200b{HEX}") == "[redacted]"


def test_text_becomes_one_line_without_control_characters_or_tags() -> None:
    assert clean("<p>a\r\n\x1b[31mb\u2028<br/>c\u202e</p>\x00") == "a [31mb c"


def test_long_text_is_cut_to_the_limit() -> None:
    assert clean("word " * 400, 20) == "word word word word\u2026"
    assert len(clean("x" * 100_000)) == 500


def test_a_page_is_told_by_its_preformatted_text_or_heading() -> None:
    page = "<html><head><title>Error</title></head><body><h1>Bad &amp; worse</h1><pre> the cause </pre>"
    assert html_to_text(page) == "the cause"
    assert html_to_text("<title>502 Bad Gateway</title>") == "502 Bad Gateway"
    assert html_to_text("<div>nothing</div>") == ""


@given(st.text(max_size=300))
def test_cleaning_any_text_gives_a_short_line(text: str) -> None:
    cleaned = clean(text)
    assert len(cleaned) <= 500
    assert "\n" not in cleaned
    assert clean(cleaned) == cleaned


@pytest.mark.slow
def test_no_input_makes_redaction_slow() -> None:
    """In a process of its own, so that a pattern that backtracks is ended by the clock instead of holding the tests."""
    program = (
        "from databricks_responses_mcp.workspace.redaction import clean, redact, looks_like_html, html_to_text\n"
        "pieces = ['eyJ', 'eyJaaaaaaaa.', 'Bearer ', 'Bearer\\t', 'dapi0', 'sk-', '://a:', '://', ':', '@', '<a ',\n"
        "          '<', '<pre ', 'token=', 'token \\t=', 'secret\"', \"password'\", 'x', ' ',\n"
        "          '\\u200b', '\\x00', 'ghp_', 'AIza', '-', '.']\n"
        "for piece in pieces:\n"
        "    for tail in ('', '!', '@', '>'):\n"
        "        text = piece * (20_000 // len(piece)) + tail\n"
        "        redact(text), clean(text), looks_like_html(text), html_to_text(text)\n"
        "for a in pieces:\n"
        "    for b in pieces:\n"
        "        text = (a + b) * (4_000 // len(a + b))\n"
        "        redact(text), clean(text), html_to_text(text)\n"
    )
    subprocess.run([sys.executable, "-c", program], timeout=DEADLINE_SECONDS, check=True)
