"""A host's form of which one field is filled in."""

from pathlib import Path

import pytest

from databricks_responses_mcp.hosts.server_info import SERVER
from databricks_workspace_emulator.server import RunningEmulator
from harness.stdio_process import ASK, environment, server

pytestmark = pytest.mark.anyio


@pytest.mark.slow
@pytest.mark.parametrize("empty", ["", "${{user_config.{key}}}"])
async def test_the_server_goes_by_the_field_that_was_filled_in(
    empty: str, emulator: RunningEmulator, tmp_path: Path
) -> None:
    (tmp_path / ".databrickscfg").write_text(
        f"[work]\nhost = {emulator.host}\ntoken = {emulator.token}\n", encoding="utf-8"
    )
    form = {variable.name: empty.format(key=variable.key) for variable in SERVER.variables}
    env = environment(emulator, tmp_path, **{**form, "DATABRICKS_CONFIG_PROFILE": "work"})
    async with server(env) as raw:
        await raw.initialize()
        arguments = {"prompt": "[[say signed in]]", "model": "databricks-gpt-5"}
        answer = await raw.ask(1, "tools/call", name=ASK, arguments=arguments)
    assert answer["result"]["structuredContent"]["text"] == "signed in"
