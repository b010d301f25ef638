import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from inline_snapshot import snapshot
from pydantic import ValidationError

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.workspace.settings import load_settings, settings_help
from harness.deadlines import DEADLINE_SECONDS


def test_nothing_configured_gives_the_defaults() -> None:
    assert load_settings({}).model_dump(mode="json") == snapshot(
        {
            "host": None,
            "token": None,
            "profile": None,
            "model": None,
            "image_model": None,
            "responses_path": "/serving-endpoints/responses",
            "surface": "auto",
            "model_schemas": [],
            "request_tags": None,
            "extra_headers": None,
            "check_parameters": True,
            "timeout_seconds": 1800.0,
            "hand_over_seconds": None,
            "max_retries": 4,
            "auth_timeout_seconds": 60.0,
            "endpoints_ttl_seconds": 300.0,
            "default_max_output_tokens": 16384,
            "max_output_tokens": None,
            "daily_token_budget": None,
            "max_answer_bytes": 256000000,
            "max_text_tokens": 20000,
            "max_file_bytes": 1000000,
            "max_document_bytes": 20000000,
            "allowed_dirs": None,
            "allow_secret_files": False,
            "image_dir_setting": None,
            "inline_image_bytes": 700000,
            "max_image_bytes": 20000000,
            "allow_private_urls": False,
            "mcp_servers": None,
            "approval_timeout_seconds": 120.0,
            "model_approvals": "refuse",
            "store": None,
            "store_days": 90,
            "store_max_bytes": 2000000000,
            "http_token": None,
            "http_max_sessions": 100,
            "http_session_idle_seconds": 1800.0,
            "engine_api_key": None,
            "telemetry": False,
            "log_level": "INFO",
            "log_format": "json",
        }
    )


def test_every_setting_is_documented_with_its_variable_and_default() -> None:
    assert [(doc.env, doc.default) for doc in settings_help()] == snapshot(
        [
            ("DATABRICKS_HOST", "not set"),
            ("DATABRICKS_TOKEN", "not set"),
            ("DATABRICKS_CONFIG_PROFILE", "not set"),
            ("RESPONSES_MCP_MODEL", "the newest GPT endpoint"),
            ("RESPONSES_MCP_IMAGE_MODEL", "the newest GPT endpoint"),
            ("RESPONSES_MCP_RESPONSES_PATH", "/serving-endpoints/responses"),
            ("RESPONSES_MCP_SURFACE", "auto"),
            ("RESPONSES_MCP_MODEL_SCHEMAS", "not set"),
            ("RESPONSES_MCP_REQUEST_TAGS", "not set"),
            ("RESPONSES_MCP_EXTRA_HEADERS", "not set"),
            ("RESPONSES_MCP_CHECK_PARAMETERS", "true"),
            ("RESPONSES_MCP_TIMEOUT_SECONDS", "1800"),
            (
                "RESPONSES_MCP_HAND_OVER_SECONDS",
                "shortly before the timeout of the host, if it is known; else 50",
            ),
            ("RESPONSES_MCP_MAX_RETRIES", "4"),
            ("RESPONSES_MCP_AUTH_TIMEOUT_SECONDS", "60"),
            ("RESPONSES_MCP_ENDPOINTS_TTL_SECONDS", "300"),
            ("RESPONSES_MCP_DEFAULT_MAX_OUTPUT_TOKENS", "16384"),
            ("RESPONSES_MCP_MAX_OUTPUT_TOKENS", "not set"),
            ("RESPONSES_MCP_DAILY_TOKEN_BUDGET", "not set"),
            ("RESPONSES_MCP_MAX_ANSWER_BYTES", "256000000"),
            ("RESPONSES_MCP_MAX_TEXT_TOKENS", "20000"),
            ("RESPONSES_MCP_MAX_FILE_BYTES", "1000000"),
            ("RESPONSES_MCP_MAX_DOCUMENT_BYTES", "20000000"),
            (
                "RESPONSES_MCP_ALLOWED_DIRS",
                "the working directory, unless it is /, a home directory or the directory for temporary files",
            ),
            ("RESPONSES_MCP_ALLOW_SECRET_FILES", "false"),
            ("RESPONSES_MCP_IMAGE_DIR", "databricks-responses-mcp in the user's pictures directory"),
            ("RESPONSES_MCP_INLINE_IMAGE_BYTES", "700000"),
            ("RESPONSES_MCP_MAX_IMAGE_BYTES", "20000000"),
            ("RESPONSES_MCP_ALLOW_PRIVATE_URLS", "false"),
            ("RESPONSES_MCP_MCP_SERVERS", "not set"),
            ("RESPONSES_MCP_APPROVAL_TIMEOUT_SECONDS", "120"),
            ("RESPONSES_MCP_MODEL_APPROVALS", "refuse"),
            ("RESPONSES_MCP_STORE", "conversations.db in the user's data directory"),
            ("RESPONSES_MCP_STORE_DAYS", "90"),
            ("RESPONSES_MCP_STORE_MAX_BYTES", "2000000000"),
            ("RESPONSES_MCP_HTTP_TOKEN", "a new one at each start; it is printed"),
            ("RESPONSES_MCP_HTTP_MAX_SESSIONS", "100"),
            ("RESPONSES_MCP_HTTP_SESSION_IDLE_SECONDS", "1800"),
            ("RESPONSES_MCP_ENGINE_API_KEY", "not set"),
            ("RESPONSES_MCP_TELEMETRY", "false"),
            ("RESPONSES_MCP_LOG_LEVEL", "INFO"),
            ("RESPONSES_MCP_LOG_FORMAT", "json"),
        ]
    )
    assert all(doc.description.endswith(".") and doc.accepts for doc in settings_help())


def test_each_documented_variable_is_read() -> None:
    values = {
        "DATABRICKS_HOST": "https://a.example.com",
        "DATABRICKS_TOKEN": "dapi-1",
        "DATABRICKS_CONFIG_PROFILE": "dev",
        "RESPONSES_MCP_MODEL": "m",
        "RESPONSES_MCP_IMAGE_MODEL": "i",
        "RESPONSES_MCP_RESPONSES_PATH": "/ai-gateway/openai/v1/responses/",
        "RESPONSES_MCP_SURFACE": "gateway",
        "RESPONSES_MCP_MODEL_SCHEMAS": "production.ai, research.models,production.ai",
        "RESPONSES_MCP_REQUEST_TAGS": '{"team": "a"}',
        "RESPONSES_MCP_EXTRA_HEADERS": '{"Databricks-Model-Provider-Service": "main.ai.provider"}',
        "RESPONSES_MCP_CHECK_PARAMETERS": "false",
        "RESPONSES_MCP_TIMEOUT_SECONDS": "2.5",
        "RESPONSES_MCP_HAND_OVER_SECONDS": "1.5",
        "RESPONSES_MCP_MAX_RETRIES": "0",
        "RESPONSES_MCP_AUTH_TIMEOUT_SECONDS": "3",
        "RESPONSES_MCP_ENDPOINTS_TTL_SECONDS": "0",
        "RESPONSES_MCP_DEFAULT_MAX_OUTPUT_TOKENS": "0",
        "RESPONSES_MCP_MAX_OUTPUT_TOKENS": "16",
        "RESPONSES_MCP_DAILY_TOKEN_BUDGET": "0",
        "RESPONSES_MCP_MAX_TEXT_TOKENS": "100",
        "RESPONSES_MCP_MAX_ANSWER_BYTES": "1000",
        "RESPONSES_MCP_MAX_FILE_BYTES": "1",
        "RESPONSES_MCP_MAX_DOCUMENT_BYTES": "5",
        "RESPONSES_MCP_ALLOWED_DIRS": "*",
        "RESPONSES_MCP_ALLOW_SECRET_FILES": "true",
        "RESPONSES_MCP_IMAGE_DIR": "~/pictures",
        "RESPONSES_MCP_INLINE_IMAGE_BYTES": "0",
        "RESPONSES_MCP_MAX_IMAGE_BYTES": "5",
        "RESPONSES_MCP_ALLOW_PRIVATE_URLS": "yes",
        "RESPONSES_MCP_MCP_SERVERS": "{}",
        "RESPONSES_MCP_APPROVAL_TIMEOUT_SECONDS": "0",
        "RESPONSES_MCP_MODEL_APPROVALS": "Allow",
        "RESPONSES_MCP_STORE": "off",
        "RESPONSES_MCP_STORE_DAYS": "0",
        "RESPONSES_MCP_STORE_MAX_BYTES": "1",
        "RESPONSES_MCP_HTTP_TOKEN": "0123456789abcdef0123456789abcdef",
        "RESPONSES_MCP_HTTP_MAX_SESSIONS": "7",
        "RESPONSES_MCP_HTTP_SESSION_IDLE_SECONDS": "60",
        "RESPONSES_MCP_ENGINE_API_KEY": "sk-engine",
        "RESPONSES_MCP_TELEMETRY": "true",
        "RESPONSES_MCP_LOG_LEVEL": "debug",
        "RESPONSES_MCP_LOG_FORMAT": "TEXT",
    }
    assert set(values) == {doc.env for doc in settings_help()}
    settings = load_settings(values)
    assert settings.token is not None
    assert settings.token.get_secret_value() == "dapi-1"
    assert settings.image_dir == Path.home() / "pictures"
    assert settings.model_dump(
        mode="json", exclude={"token", "mcp_servers", "http_token", "engine_api_key", "store", "image_dir_setting"}
    ) == snapshot(
        {
            "host": "https://a.example.com",
            "profile": "dev",
            "model": "m",
            "image_model": "i",
            "responses_path": "/ai-gateway/openai/v1/responses",
            "surface": "gateway",
            "model_schemas": ["production.ai", "research.models"],
            "request_tags": '{"team": "a"}',
            "extra_headers": "**********",
            "check_parameters": False,
            "timeout_seconds": 2.5,
            "hand_over_seconds": 1.5,
            "max_retries": 0,
            "auth_timeout_seconds": 3.0,
            "endpoints_ttl_seconds": 0.0,
            "default_max_output_tokens": 0,
            "max_output_tokens": 16,
            "daily_token_budget": 0,
            "max_answer_bytes": 1000,
            "max_text_tokens": 100,
            "max_file_bytes": 1,
            "max_document_bytes": 5,
            "allowed_dirs": "*",
            "allow_secret_files": True,
            "inline_image_bytes": 0,
            "max_image_bytes": 5,
            "allow_private_urls": True,
            "approval_timeout_seconds": 0.0,
            "model_approvals": "allow",
            "store_days": 0,
            "store_max_bytes": 1,
            "http_max_sessions": 7,
            "http_session_idle_seconds": 60.0,
            "telemetry": True,
            "log_level": "DEBUG",
            "log_format": "text",
        }
    )


def test_an_empty_variable_counts_as_unset() -> None:
    assert load_settings({"RESPONSES_MCP_TIMEOUT_SECONDS": "  ", "DATABRICKS_HOST": ""}) == load_settings({})


def test_options_win_over_the_environment_and_none_does_not() -> None:
    environ = {"RESPONSES_MCP_MODEL": "from-env", "RESPONSES_MCP_MAX_RETRIES": "1"}
    settings = load_settings(
        environ, {"model": "from-flag", "max_retries": None, "image_dir": Path("/tmp/x").absolute()}
    )
    assert (settings.model, settings.max_retries, settings.image_dir) == ("from-flag", 1, Path("/tmp/x").absolute())


def test_all_wrong_values_are_told_at_once() -> None:
    with pytest.raises(BridgeError) as caught:
        load_settings(
            {
                "RESPONSES_MCP_TIMEOUT_SECONDS": "nan",
                "RESPONSES_MCP_MAX_RETRIES": "many",
                "RESPONSES_MCP_LOG_FORMAT": "xml",
                "RESPONSES_MCP_IMAGE_DIR": "pictures",
                "RESPONSES_MCP_RESPONSES_PATH": "https://a.example",
                "RESPONSES_MCP_TIMEOUT_SECOND": "5",
                "RESPONSES_MCP_QQ": "5",
            },
            {"max_file_bytes": -1},
        )
    assert [textwrap.wrap(part, 90) for part in caught.value.message.split("; ")] == snapshot(
        [
            ["Wrong settings: RESPONSES_MCP_QQ is not a setting"],
            ["RESPONSES_MCP_TIMEOUT_SECOND is not a setting, RESPONSES_MCP_TIMEOUT_SECONDS is"],
            [
                "RESPONSES_MCP_RESPONSES_PATH is 'https://a.example', which is wrong: it takes a path that",
                "starts with /",
            ],
            ["RESPONSES_MCP_TIMEOUT_SECONDS is 'nan', which is wrong: it takes a number from 1 to 3600"],
            ["RESPONSES_MCP_MAX_RETRIES is 'many', which is wrong: it takes a whole number from 0 to 10"],
            ["option max_file_bytes is -1, which is wrong: it takes a whole number, 1 or more"],
            [
                "RESPONSES_MCP_IMAGE_DIR is 'pictures', which is wrong: it takes an absolute path or a path",
                "that starts with ~",
            ],
            ["RESPONSES_MCP_LOG_FORMAT is 'xml', which is wrong: it takes json or text."],
        ]
    )
    assert caught.value.hint == snapshot(
        "Correct or remove them where the server's environment is configured; --help lists every setting."
    )


def test_a_secret_in_a_wrong_value_is_not_shown() -> None:
    with pytest.raises(BridgeError) as caught:
        load_settings({"RESPONSES_MCP_LOG_LEVEL": "dapi0123456789abcdef0123456789abcdef"})
    assert "0123456789" not in str(caught.value)
    assert "RESPONSES_MCP_LOG_LEVEL" in str(caught.value)


def test_an_unknown_option_is_refused() -> None:
    with pytest.raises(BridgeError) as caught:
        load_settings({}, {"modle": "x"})
    assert caught.value.code is ErrorCode.INVALID_ARGUMENT
    assert "modle is not a setting" in caught.value.message


def test_the_token_is_in_no_representation() -> None:
    settings = load_settings({"DATABRICKS_TOKEN": "dapi-very-secret"})
    assert "very-secret" not in f"{settings!r} {settings} {settings.model_dump_json()}"


def test_settings_cannot_be_changed() -> None:
    settings = load_settings({})
    with pytest.raises(ValidationError):
        settings.model = "other"  # type: ignore[misc]


def test_without_a_setting_pictures_go_to_the_users_pictures() -> None:
    folder = load_settings({}).image_dir
    assert folder.name == "databricks-responses-mcp"
    assert folder.is_absolute()


def test_no_file_is_read_for_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("RESPONSES_MCP_MODEL=from-file\nDATABRICKS_HOST=https://evil.example.com\n")
    monkeypatch.chdir(tmp_path)
    assert load_settings({}) == load_settings({})
    assert load_settings({}).model is None


def test_loading_the_settings_imports_nothing_heavy() -> None:
    program = (
        "import sys\n"
        "from databricks_responses_mcp.workspace.settings import load_settings\n"
        "from databricks_responses_mcp.workspace.credentials import credentials_for\n"
        "from databricks_responses_mcp.workspace import api_errors, endpoint_directory, parameter_policy\n"
        "env = {'DATABRICKS_HOST': 'https://a.example.com', 'DATABRICKS_TOKEN': 'dapi-1'}\n"
        "credentials_for(load_settings(env), env)\n"
        "print([m for m in ('databricks.sdk', 'platformdirs', 'requests', 'PIL', 'rich', 'httpx', 'difflib')"
        " if m in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=True
    )
    assert done.stdout.strip() == "[]"


def test_allowed_directories_are_a_list_of_absolute_paths(tmp_path: Path) -> None:
    def allowed(text: str) -> object:
        return load_settings({"RESPONSES_MCP_ALLOWED_DIRS": text}).allowed_dirs

    assert allowed(f"~{os.pathsep}{os.pathsep}{tmp_path}") == (Path.home(), tmp_path)
    assert (allowed("*"), allowed(""), allowed(os.pathsep)) == ("*", None, ())
    for wrong in ("src", f"{tmp_path}{os.pathsep}src", "**"):
        with pytest.raises(BridgeError, match=r"RESPONSES_MCP_ALLOWED_DIRS is .* it takes absolute paths"):
            allowed(wrong)


def test_tags_that_are_nested_without_end_are_refused_with_the_name_of_the_setting() -> None:
    with pytest.raises(BridgeError, match="RESPONSES_MCP_REQUEST_TAGS"):
        load_settings({"RESPONSES_MCP_REQUEST_TAGS": "[" * 100_000})
