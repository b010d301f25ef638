"""Which files are written for a model: nothing of git's, nothing that begins with a dot, nothing outside."""

import subprocess
import sys
from pathlib import Path

import pytest
from inline_snapshot import snapshot

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.media.atomic_changes import Change, change_files
from databricks_responses_mcp.media.path_policy import AllowedPaths
from databricks_responses_mcp.media.staging import Staging
from databricks_responses_mcp.media.write_journal import WriteJournal
from databricks_responses_mcp.media.write_policy import WritePolicy

pytestmark = pytest.mark.anyio
posix = pytest.mark.skipif(sys.platform == "win32", reason="links need rights on Windows")

GIT = [
    ".git/hooks/pre-commit",
    ".git/config",
    ".git",
    "src/.git/hooks/post-checkout",
    ".GIT/hooks/pre-commit",
    ".Git/config",
    ".git /config",
    ".git./config",
    ".git . ./config",
    ".git::$INDEX_ALLOCATION/config",
    ".git:x/config",
    "GIT~1/config",
    "git~2/config",
    ".g\u200cit/config",
    ".gi\u200dt/config",
    "\u202e.git/config",
    ".\ufeffgit/config",
    "\uff0egit/config",
]
HIDDEN = [
    ".claude/settings.json",
    ".mcp.json",
    ".cursor/mcp.json",
    ".vscode/tasks.json",
    ".envrc",
    ".husky/pre-commit",
    ".devcontainer/devcontainer.json",
    ".github/workflows/x.yml",
    ".gitmodules",
    ".gitattributes",
    "src/.pre-commit-config.yaml",
    "\u200b.envrc",
    "src/app.py/..namedfork/rsrc",
]
ALIASES = ["CLAUDE~1/settings.json", "VSCODE~1/tasks.json", "src/ENVRC~1", "x/ABCDEF~1.PY"]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = (tmp_path / "project").resolve()
    (root / "src").mkdir(parents=True)
    (root / "app.py").write_text("x\n")
    (root / "src" / "b.py").write_text("x\n")
    return root


def policy_of(root: Path | None, *, folders: list[Path] | None = None, named: list[Path] = []) -> WritePolicy:  # noqa: B006
    return WritePolicy(AllowedPaths(None if root is None else [root], secrets=True), folders=folders, named=named)


def refusal(policy: WritePolicy, path: Path) -> str:
    with pytest.raises(BridgeError) as caught:
        policy.check_new(path, path.name)
    assert caught.value.code in (ErrorCode.PERMISSION_DENIED, ErrorCode.INVALID_ARGUMENT)
    return caught.value.message


@pytest.mark.parametrize("name", GIT)
def test_gits_own_files_are_never_written_by_any_spelling(project: Path, name: str) -> None:
    for policy in (
        policy_of(project, folders=[project], named=[project / name]),
        policy_of(None, folders=[project], named=[project / name]),
    ):
        assert "belongs to git" in refusal(policy, project / name)
        with pytest.raises(BridgeError, match="belongs to git"):
            policy.check_existing(project / name, name)


@pytest.mark.parametrize("name", HIDDEN)
def test_hidden_files_and_folders_are_created_only_if_named_exactly(project: Path, name: str) -> None:
    path = project / name
    for root in (project, None):
        policy = policy_of(root, folders=[project, path.parent])
        assert "begin with a dot" in refusal(policy, path)
        other = path.with_name("other.json")
        assert "begin with a dot" in refusal(policy_of(root, folders=[path.parent], named=[other]), path)
        assert policy_of(root, folders=[], named=[path]).check_new(path, name) == path


@pytest.mark.parametrize("name", ALIASES)
def test_names_that_may_be_the_short_names_of_others_are_not_created(project: Path, name: str) -> None:
    assert "on Windows" in refusal(policy_of(project, folders=[project], named=[project / name]), project / name)


def test_new_files_are_created_only_below_the_folders_of_named_files(project: Path) -> None:
    policy = policy_of(project, folders=[project / "src"])
    assert policy.check_new(project / "src" / "deep" / "new.py", "new") == project / "src" / "deep" / "new.py"
    for name in ("new.py", "tests/new.py", "srcs/new.py"):
        assert "new files go under the folders of the files that were named" in refusal(policy, project / name)


@posix
def test_links_do_not_lead_to_what_may_not_be_written(project: Path) -> None:
    (project / ".git").mkdir()
    (project / ".claude").mkdir()
    (project / "links").symlink_to(".git")
    (project / "dot").symlink_to(".claude")
    (project / "out").symlink_to(project.parent)
    for policy in (policy_of(project, folders=[project]), policy_of(None, folders=[project])):
        for name in ("links/config", "links/hooks/pre-commit", "dot/settings.json"):
            refusal(policy, project / name)
    refusal(policy_of(project, folders=[project]), project / "out" / "x.py")


def make_repository(path: Path, *options: str) -> None:
    subprocess.run(["git", "init", "-q", *options, str(path)], check=True, stdin=subprocess.DEVNULL)


@pytest.mark.parametrize("kind", ["bare", "separate", "worktree"])
def test_a_repository_is_known_by_what_is_in_it(project: Path, tmp_path: Path, kind: str) -> None:
    if kind == "bare":
        make_repository(project / "data", "--bare")
        git = project / "data"
    elif kind == "separate":
        make_repository(project / "work", f"--separate-git-dir={project / 'data'}")
        git = project / "data"
    else:
        make_repository(project / "main")
        run = ["git", "-C", str(project / "main"), "-c", "user.name=x", "-c", "user.email=x@y"]
        subprocess.run([*run, "commit", "-q", "--allow-empty", "-m", "x"], check=True, stdin=subprocess.DEVNULL)
        subprocess.run([*run, "worktree", "add", "-q", str(project / "tree")], check=True, stdin=subprocess.DEVNULL)
        git = project / "main" / ".git" / "worktrees" / "tree"
        assert "belongs to git" in refusal(policy_of(project), project / "tree" / ".git")
    assert (git / "HEAD").exists()
    for name in ("config", "hooks/pre-commit", "config.worktree", "deep/er/x"):
        assert "belongs to git" in refusal(policy_of(project), git / name)
    with pytest.raises(BridgeError, match="belongs to git"):
        policy_of(project).check_existing(git / "HEAD", "HEAD")


def test_a_working_tree_that_lies_in_a_bare_repository_is_no_part_of_it(project: Path) -> None:
    make_repository(project / "main")
    run = ["git", "-C", str(project / "main"), "-c", "user.name=x", "-c", "user.email=x@y"]
    subprocess.run([*run, "commit", "-q", "--allow-empty", "-m", "x"], check=True, stdin=subprocess.DEVNULL)
    bare = project / "project.git"
    subprocess.run(
        ["git", "clone", "-q", "--bare", str(project / "main"), str(bare)], check=True, stdin=subprocess.DEVNULL
    )
    subprocess.run(
        ["git", "-C", str(bare), "worktree", "add", "-q", "-b", "topic", "topic"],
        check=True,
        stdin=subprocess.DEVNULL,
    )
    assert policy_of(project).check_new(bare / "topic" / "src" / "new.py", "new.py")
    assert "belongs to git" in refusal(policy_of(project), bare / "hooks" / "pre-commit")


def test_a_repository_cannot_be_created_file_by_file(project: Path) -> None:
    for name in ("lib/HEAD", "lib/head", "HEAD", "lib/Head."):
        assert "belongs to git" in refusal(policy_of(project, named=[project / name]), project / name)
    # An ordinary file of that kind of name is no repository's.
    assert policy_of(project).check_new(project / "HEAD.md", "HEAD.md")


@pytest.mark.parametrize(
    "name", ["a.txt:stream", "con", "nul.txt", "x/COM1.py", "a.", "a /b", "a|b", "aux.c", "CONOUT$", "com\u00b9.txt"]
)
def test_names_that_windows_reads_otherwise_are_refused_there(project: Path, name: str) -> None:
    on_windows = WritePolicy(AllowedPaths([project]), has_windows_names=True)
    assert "on Windows" in refusal(on_windows, project / name)
    assert on_windows.check_new(project / "src" / "console" / "connect.py", "x")
    assert WritePolicy(AllowedPaths([project]), has_windows_names=False).check_new(project / name, name)


def test_a_name_that_no_file_system_takes_is_refused(project: Path) -> None:
    assert "too long" in refusal(policy_of(project), project / ("x" * 300))
    assert "too long" in refusal(policy_of(project), project / ("é" * 130))


def test_a_directory_that_begins_with_a_dot_may_be_allowed_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = (tmp_path / ".dotfiles").resolve()
    root.mkdir()
    assert policy_of(root).check_new(root / "new.txt", "new") == root / "new.txt"
    assert "begin with a dot" in refusal(policy_of(root), root / ".vimrc")
    # Where everything is allowed, it is the directory that the server was started in.
    assert "begin with a dot" in refusal(policy_of(None), root / "new.txt")
    monkeypatch.chdir(root)
    assert policy_of(None).check_new(root / "new.txt", "new") == root / "new.txt"


@posix
def test_the_policy_holds_at_the_moment_of_writing_too(project: Path, tmp_path: Path) -> None:
    """What was ordinary when the model worked may be git's by the time it is written."""
    make_repository(tmp_path / "hidden", "--bare")
    journal = WriteJournal(tmp_path / "journal")
    for name in (".git/hooks/pre-commit", ".envrc", "lib/HEAD"):
        with pytest.raises(BridgeError):
            change_files([Change(project / name, name, b"x", None)], policy_of(project), journal)
    (tmp_path / "hidden").rename(project / "lib")
    with pytest.raises(BridgeError):
        change_files([Change(project / "lib" / "hooks" / "pre-push", "x", b"x", None)], policy_of(project), journal)
    assert not (project / ".git").exists()


async def test_a_file_of_gits_that_was_named_is_refused_before_anything_is_sent(project: Path) -> None:
    make_repository(project)
    allowed = AllowedPaths([project], secrets=True)
    with pytest.raises(BridgeError) as caught:
        await Staging.read(
            [str(project / ".git" / "config")],
            allowed=allowed,
            journal=WriteJournal(project / "journal"),
            max_bytes=1000,
            max_total_bytes=1000,
        )
    assert str(caught.value).replace(str(project), "…") == snapshot(
        "“…/.git/config” is not written: it belongs to git, which runs what is configured in its files. Use git's "
        "own commands, or change it yourself."
    )


@posix
async def test_new_files_are_never_executable(project: Path, tmp_path: Path) -> None:
    change_files(
        [Change(project / "hooks" / "pre-commit", "x", b"#!/bin/sh\n", None)],
        policy_of(project),
        WriteJournal(tmp_path / "journal"),
    )
    assert (project / "hooks" / "pre-commit").stat().st_mode & 0o111 == 0
