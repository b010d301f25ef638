"""``search`` and ``edit``: what the tools of these names do, from a terminal."""

import json
import os
import sys
from pathlib import Path

import pytest
from inline_snapshot import snapshot

from databricks_workspace_emulator.server import RunningEmulator
from harness.terminal import CommandLine, Ran

pytestmark = pytest.mark.anyio

posix = pytest.mark.skipif(sys.platform == "win32", reason="terminals of POSIX")


async def test_an_answer_and_its_numbered_sources_are_on_stdout(cli: CommandLine, emulator: RunningEmulator) -> None:
    ran = await cli.run("search", "[[say Three things]]", "--domain", "docs.databricks.com", "--context-size", "low")
    assert ran.folded() == snapshot(
        Ran(
            out="""\
Three things[1][2]

Sources:
[1] Result 1: https://docs.databricks.com/1?q=%5B%5Bsay+Three+things%5D%5D
[2] Result 2: https://docs.databricks.com/2?q=%5B%5Bsay+Three+things%5D%5D
""",
            err="(embedded-rules as databricks-gpt-5, 11 tokens in, 72 tokens out, conversation CONVERSATION)\n",
            code=0,
        )
    )
    body = emulator.state.request_log.to("/responses")[0].body
    assert body["tools"] == snapshot(
        [{"type": "web_search", "filters": {"allowed_domains": ["docs.databricks.com"]}, "search_context_size": "low"}]
    )


async def test_a_search_in_json_has_the_facts(cli: CommandLine) -> None:
    facts = json.loads((await cli.run("search", "news", "--json")).out)
    assert (facts["status"], [citation["number"] for citation in facts["citations"]]) == ("completed", [1, 2])


async def test_the_embedded_workspace_says_that_it_searches_nothing(bare: CommandLine) -> None:
    ran = await bare.run("search", "--embedded", "--engine", "rules", "news")
    assert ran.err.splitlines()[0] == snapshot(
        "databricks-responses-mcp: The embedded workspace does not search the web: its results are invented."
    )


async def test_an_edit_is_shown_and_nothing_is_written(cli: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("import os\n\nprint(1)\n", encoding="utf-8")
    ran = await cli.run("edit", "Say hello", "app.py")
    assert Ran(ran.out, ran.err.replace(str(tmp_path), "HERE"), ran.code).folded() == snapshot(
        Ran(
            out="""\
diff --git a/app.py b/app.py
--- a/app.py
+++ b/app.py
@@ -1,3 +1,4 @@
 import os
+# Changed by the embedded workspace, no model asked

 print(1)
""",
            err="""\
No model was asked: this is the embedded workspace's rule engine.
You sent 61 characters in 11 words, beginning: “Say hello File: app.py (3 lines) ``` import os
print(1) ```”
[tool] apply_patch_call gave: Done.
Nothing is written yet: `git apply` in HERE writes just this; --apply asks the model again, and
writes its answer.
(embedded-rules as databricks-gpt-5, 341 tokens in, 83 tokens out, conversation CONVERSATION)
""",
            code=0,
        )
    )
    assert (tmp_path / "app.py").read_text(encoding="utf-8") == "import os\n\nprint(1)\n"


async def test_with_apply_the_diff_is_on_disk(cli: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("import os\n\nprint(1)\n", encoding="utf-8")
    ran = await cli.run("edit", "Say hello", "app.py", "--apply", "--json")
    facts = json.loads(ran.out)
    assert (facts["applied"], ran.code) == (True, 0)
    assert (tmp_path / "app.py").read_text(encoding="utf-8").count("\n") == 4


@pytest.mark.slow
async def test_a_new_file_is_written_only_if_it_was_named(cli: CommandLine, tmp_path: Path) -> None:
    shown = await cli.run("edit", "Create notes.txt", "--apply", "--json")
    facts = json.loads(shown.out)
    assert (shown.code, facts["applied"], facts["new_files"]) == (1, False, ["notes.txt"])
    assert [operation["status"] for operation in facts["operations"]] == ["not_written"]
    assert "--new does not name these new files: notes.txt" in facts["notes"][-1]
    assert not (tmp_path / "notes.txt").exists()
    written = await cli.run("edit", "Create notes.txt", "--new", "notes.txt", "--apply", "--json")
    facts = json.loads(written.out)
    assert (written.code, facts["applied"]) == (0, True)
    assert [operation["status"] for operation in facts["operations"]] == ["written"]
    assert (tmp_path / "notes.txt").exists()


@pytest.mark.slow
async def test_an_edit_that_stays_wrong_writes_nothing_and_exits_with_1(cli: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("import os\n", encoding="utf-8")
    ran = await cli.run("edit", "[[misfit 99]] Say hello", "app.py", "--apply")
    assert ran.code == 1
    assert (tmp_path / "app.py").read_text(encoding="utf-8") == "import os\n"
    assert "Nothing was written" in ran.err or ran.out == ""


async def test_what_is_piped_in_belongs_to_the_instruction(
    cli: CommandLine, emulator: RunningEmulator, tmp_path: Path
) -> None:
    (tmp_path / "app.py").write_text("import os\n", encoding="utf-8")
    await cli.run("edit", "Fix this", "app.py", stdin=b"NameError: x\n")
    prompt = emulator.state.request_log.to("/responses")[0].body["input"][0]["content"][0]["text"]
    assert prompt.startswith("Fix this\n\nNameError: x\n\nFile: app.py")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("edit", "x", "missing.py"), 5),
        (("edit", "x", "."), 2),
        (("edit", "", "app.py"), 2),
        (("edit",), 2),
        (("search", ""), 2),
        (("search", "x", "--context-size", "huge"), 2),
        (("search", "x", "--apply"), 2),
    ],
)
async def test_wrong_arguments_have_their_exit_code(
    cli: CommandLine, tmp_path: Path, arguments: tuple[str, ...], code: int
) -> None:
    (tmp_path / "app.py").write_text("import os\n", encoding="utf-8")
    ran = await cli.run(*arguments)
    assert (ran.out, ran.code) == ("", code)
    assert "Traceback" not in ran.err


@posix
async def test_a_terminal_shows_the_diff_in_colour(cli: CommandLine, tmp_path: Path) -> None:
    from harness.pseudo_terminal import Screen

    (tmp_path / "app.py").write_text("import os\n", encoding="utf-8")
    screen = Screen(columns=100)
    async with cli.started("edit", "Say hello", "app.py", stdout=screen.theirs, TERM="xterm-256color") as process:
        os.close(screen.theirs)
        said = await screen.rest()
        assert await process.wait() == 0
    assert said == snapshot("""\
[1mdiff --git a/app.py b/app.py[0m
[1m--- a/app.py[0m
[1m+++ b/app.py[0m
[36m@@ -1 +1,2 @@[0m
 import os
[32m+# Changed by the embedded workspace, no model asked[0m
""")
