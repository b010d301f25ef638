"""Writes whose process is killed: with whoever starts or writes next, all files are as before, or all as after."""

import hashlib
import json
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from databricks_responses_mcp.errors import BridgeError
from databricks_responses_mcp.media.atomic_changes import Change, change_files
from databricks_responses_mcp.media.path_policy import AllowedPaths
from databricks_responses_mcp.media.write_journal import WriteJournal
from databricks_responses_mcp.media.write_policy import WritePolicy
from harness.deadlines import DEADLINE_SECONDS

posix = pytest.mark.skipif(sys.platform == "win32", reason="kills forked processes")

# Each process kills itself before (or after) its nth call of a function that touches the disk. One process forks them
# all: nothing of Python has to be started again for each.
_KILLS = """
import hashlib, json, os, shutil, signal, sys
from pathlib import Path
from databricks_responses_mcp.media.path_policy import AllowedPaths
from databricks_responses_mcp.media.pictures import save_picture
from databricks_responses_mcp.media.atomic_changes import Change, change_files
from databricks_responses_mcp.media.write_journal import WriteJournal
from databricks_responses_mcp.media.write_policy import WritePolicy

root, kind, has_links, half_way = Path(sys.argv[1]), sys.argv[2], sys.argv[3] == "links", int(sys.argv[4])
project, journal = root / "project", WriteJournal(root / "journal")
policy = WritePolicy(AllowedPaths([project]))
PNG = bytes.fromhex("89504e470d0a1a0a0000000d49484452000000080000000808020000004b6d29dc") + b"x" * 5000
FUNCTIONS = ("open", "write", "mkdir", "link", "replace", "rename", "unlink", "rmdir", "fsync", "fchmod", "close")

def refuse(*given, **named):
    raise PermissionError(1, "no second names here")

def prepare():
    shutil.rmtree(project, ignore_errors=True)
    (project / "src").mkdir(parents=True)
    for name in ("a", "src/b", "c", "gone"):
        (project / name).write_text(f"{name} before\\n")
        os.chmod(project / name, 0o640)

def digest(name):
    return hashlib.sha256((project / name).read_bytes()).hexdigest()

def work():
    if kind == "picture":
        save_picture(PNG, project / "pictures" / "fox.png", "fox", policy=policy, journal=journal)
        return
    changes = [Change(project / name, name, f"{name} after\\n".encode(), digest(name)) for name in ("a", "src/b", "c")]
    changes.append(Change(project / "gone", "gone", None, digest("gone")))
    changes += [Change(project / name, name, b"new\\n", None) for name in ("new", "deep/er/new")]
    change_files(changes, policy, journal)

def tree():
    found = {p.relative_to(project).as_posix(): p.read_bytes().hex()[:200] for p in project.rglob("*") if p.is_file()}
    folders = {p.relative_to(project).as_posix() + "/": "" for p in project.rglob("*") if p.is_dir()}
    return found | folders

def child(at, after, do):
    calls = 0
    def counting(real):
        def call(*given, **named):
            nonlocal calls
            calls += 1
            if calls == at and not after:
                os.kill(os.getpid(), signal.SIGKILL)
            result = real(*given, **named)
            if calls == at:
                os.kill(os.getpid(), signal.SIGKILL)
            return result
        return call
    for name in FUNCTIONS:
        setattr(os, name, counting(getattr(os, name)))
    do()
    os._exit(0)

def forked(at, after, do):
    pid = os.fork()
    if pid == 0:
        child(at, after, do)
    return os.waitpid(pid, 0)[1] != 0

if not has_links:
    os.link = refuse
seen = []
for after in (False, True):
    for at in range(1, 400):
        prepare()
        if kind == "recovery":
            assert forked(half_way, False, work)
        killed = forked(at, after, journal.recover if kind == "recovery" else work)
        left = tree()
        journal.recover()
        records = sorted(p.name for p in journal.directory.iterdir()) if journal.directory.exists() else []
        seen.append({"killed": killed, "left": left, "tree": tree(), "records": records})
        if not killed:
            break
print(json.dumps(seen))
"""


def killed_everywhere(root: Path, kind: str, links: str, half_way: int = 0) -> list[dict[str, object]]:
    done = subprocess.run(
        [sys.executable, "-c", _KILLS, str(root), kind, links, str(half_way)],
        capture_output=True,
        text=True,
        check=True,
    )
    seen: list[dict[str, object]] = json.loads(done.stdout)
    assert [run["killed"] for run in seen].count(False) == 2  # each series ends with a process that came to its end
    return seen


@posix
@pytest.mark.parametrize("links", ["links", pytest.param("no links", marks=pytest.mark.slow)])
def test_an_edit_killed_at_any_point_is_complete_or_undone_at_the_next_start(tmp_path: Path, links: str) -> None:
    seen = killed_everywhere(tmp_path, "edit", links)
    before = seen[0]["tree"]
    after = seen[-1]["tree"]
    assert isinstance(before, dict)
    assert isinstance(after, dict)
    assert sorted(before) == ["a", "c", "gone", "src/", "src/b"]
    assert sorted(after) == ["a", "c", "deep/", "deep/er/", "deep/er/new", "new", "src/", "src/b"]
    assert len(seen) > 60
    for run in seen:
        assert run["tree"] in (before, after)
        assert run["records"] == []
    # Without the journal, many of them would have been left in between.
    assert sum(run["left"] not in (before, after) for run in seen) >= 20


@posix
@pytest.mark.parametrize("links", ["links", pytest.param("no links", marks=pytest.mark.slow)])
def test_a_recovery_that_is_killed_itself_is_finished_by_the_next_one(tmp_path: Path, links: str) -> None:
    # The edit is killed among its renames: when all that is new is written, and some of it is in place.
    seen = killed_everywhere(tmp_path, "recovery", links, half_way=60)
    assert len(seen) > 20
    for run in seen:
        assert isinstance(run["tree"], dict)
        assert sorted(run["tree"]) == ["a", "c", "gone", "src/", "src/b"]
        assert run["records"] == []
        assert run["tree"] == seen[0]["tree"]


@posix
@pytest.mark.parametrize("links", ["links", "no links"])
def test_a_picture_that_is_killed_anywhere_is_whole_or_not_there_and_leaves_nothing_behind(
    tmp_path: Path, links: str
) -> None:
    seen = killed_everywhere(tmp_path, "picture", links)
    after = seen[-1]["tree"]
    assert isinstance(after, dict)
    for run in seen:
        found = run["tree"]
        assert isinstance(found, dict)
        assert {name: text for name, text in found.items() if name.startswith("pictures/f")} in (
            {},
            {"pictures/fox.png": after["pictures/fox.png"]},
        )
        assert not [name for name in found if ".databricks" in name]
        assert run["records"] == []
    assert any(".part" in str(run["left"]) for run in seen)


def change(path: Path, data: bytes | None) -> Change:
    digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else None
    return Change(path, path.name, data, digest)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = (tmp_path / "project").resolve()
    root.mkdir()
    (root / "a").write_text("a\n")
    (root / "b").write_text("b\n")
    return root


_KILLED = """
import os, signal, sys
from pathlib import Path
import hashlib
from databricks_responses_mcp.media import atomic_changes
from databricks_responses_mcp.media.path_policy import AllowedPaths
from databricks_responses_mcp.media.write_journal import WriteJournal
from databricks_responses_mcp.media.write_policy import WritePolicy

project, journal = Path(sys.argv[1]), Path(sys.argv[2])
def stop(*_):
    if sys.argv[3] == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    print("waiting", flush=True)
    sys.stdin.read()
make = atomic_changes._Work.make
def stopping(self, planned):
    make(self, planned)
    if planned.change.name == "a":
        stop()
atomic_changes._Work.make = stopping
changes = [
    atomic_changes.Change(project / n, n, b"edited\\n", hashlib.sha256((project / n).read_bytes()).hexdigest())
    for n in "ab"
]
atomic_changes.change_files(changes, WritePolicy(AllowedPaths([project])), WriteJournal(journal))
"""


def killed_half_way(project: Path, journal: Path) -> None:
    done = subprocess.run([sys.executable, "-c", _KILLED, str(project), str(journal), "kill"], check=False)
    assert done.returncode == -9
    assert (project / "a").read_text() == "edited\n"
    assert (project / "b").read_text() == "b\n"


def names(project: Path) -> list[str]:
    return sorted(path.name for path in project.iterdir())


@posix
def test_the_next_edit_undoes_what_a_killed_one_has_left_before_it_looks_at_the_files(
    tmp_path: Path, project: Path
) -> None:
    killed_half_way(project, tmp_path / "journal")
    (project / "c").write_text("c\n")
    policy, journal = WritePolicy(AllowedPaths([project])), WriteJournal(tmp_path / "journal")
    assert change_files([change(project / "c", b"C\n")], policy, journal) == ""
    assert {name: (project / name).read_text() for name in names(project)} == {"a": "a\n", "b": "b\n", "c": "C\n"}
    assert not (tmp_path / "journal").exists()


@posix
def test_a_file_that_somebody_changed_after_the_kill_is_theirs_and_its_former_content_stays(
    tmp_path: Path, project: Path
) -> None:
    killed_half_way(project, tmp_path / "journal")
    (project / "a").write_text("by hand\n")
    WriteJournal(tmp_path / "journal").recover()
    kept = [name for name in names(project) if name.endswith(".old")]
    assert (project / "a").read_text() == "by hand\n"
    assert [(project / name).read_text() for name in kept] == ["a\n"]
    assert names(project) == sorted([*kept, "a", "b"])


@posix
def test_a_write_that_still_goes_on_is_left_alone(tmp_path: Path, project: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", _KILLED, str(project), str(tmp_path / "journal"), "wait"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        assert process.stdout.readline() == "waiting\n"
        assert WriteJournal(tmp_path / "journal").recover() == []
        assert len(list((tmp_path / "journal").iterdir())) == 1
        process.stdin.close()
        process.wait(DEADLINE_SECONDS)
    assert {name: (project / name).read_text() for name in "ab"} == {"a": "edited\n", "b": "edited\n"}


@posix
def test_a_replaced_copy_is_not_restored(tmp_path: Path, project: Path) -> None:
    killed_half_way(project, tmp_path / "journal")
    (old,) = project.glob("*.old")
    old.unlink()
    old.symlink_to("/etc/hostname")
    WriteJournal(tmp_path / "journal").recover()
    assert not (project / "a").is_symlink()
    assert (project / "a").read_text() == "edited\n"


@posix
def test_a_link_that_replaced_the_directory_is_not_followed(tmp_path: Path, project: Path) -> None:
    killed_half_way(project, tmp_path / "journal")
    project.rename(tmp_path / "moved")
    (tmp_path / "elsewhere").mkdir()
    for path in (tmp_path / "moved").iterdir():
        (tmp_path / "elsewhere" / path.name).write_bytes(path.read_bytes())
    before = {path.name: path.read_bytes() for path in (tmp_path / "elsewhere").iterdir()}
    project.symlink_to(tmp_path / "elsewhere")
    WriteJournal(tmp_path / "journal").recover()
    assert {path.name: path.read_bytes() for path in (tmp_path / "elsewhere").iterdir()} == before


DAMAGED = [
    b"",
    b"{",
    b"[]\n",
    b'{"steps": 1}\n',
    b'{"steps": [{}], "made": []}\n',
    b'{"folder": "/etc", "copy": "hostname"}\n',
    b'{"folder": 1, "copy": 2}\n',
    b'{"done": true}\n',
    json.dumps(
        {
            "steps": [
                {
                    "folder": "/etc",
                    "name": "hostname",
                    "before": None,
                    "after": None,
                    "new": "hostname",
                    "old": "passwd",
                }
            ],
            "made": [],
        }
    ).encode()
    + b"\n",
    b"\xff\n",
]


@pytest.mark.parametrize("record", DAMAGED, ids=range(len(DAMAGED)))
def test_a_damaged_record_harms_nothing_and_is_removed(tmp_path: Path, record: bytes) -> None:
    journal = tmp_path / "journal"
    journal.mkdir()
    (journal / "x.jsonl").write_bytes(record)
    WriteJournal(journal).recover()
    assert not journal.exists()
    assert Path("/etc/passwd").exists() or sys.platform == "win32"


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permission bits")
def test_only_the_user_can_read_the_records(tmp_path: Path) -> None:
    journal = WriteJournal(tmp_path / "journal")
    with journal.entry() as entry:
        entry.begin_file(tmp_path, "x")
        (record,) = journal.directory.iterdir()
        modes = [stat.S_IMODE(path.stat().st_mode) for path in (journal.directory, record)]
    assert modes == [0o700, 0o600]


def test_a_disk_that_takes_no_record_takes_the_files_all_the_same_and_it_is_told(tmp_path: Path, project: Path) -> None:
    (tmp_path / "file").touch()
    journal = WriteJournal(tmp_path / "file" / "journal")
    problem = change_files([change(project / "a", b"A\n")], WritePolicy(AllowedPaths([project])), journal)
    assert (project / "a").read_text() == "A\n"
    assert problem.startswith("The files are written, but the write could not be recorded")


def test_a_failure_leaves_no_record(tmp_path: Path, project: Path) -> None:
    journal = WriteJournal(tmp_path / "journal")
    changes = [change(project / "a", b"A\n"), change(project / "b", b"B\n")]
    (project / "b").write_text("other\n")
    with pytest.raises(BridgeError):
        change_files(changes, WritePolicy(AllowedPaths([project])), journal)
    assert not journal.directory.exists()
    assert names(project) == ["a", "b"]


def test_many_threads_that_write_and_recover_at_once_do_not_undo_each_other(tmp_path: Path) -> None:
    root = (tmp_path / "project").resolve()
    root.mkdir()

    def write(number: int) -> str:
        path = root / str(number)
        policy, journal = WritePolicy(AllowedPaths([root])), WriteJournal(tmp_path / "journal")
        problem = change_files([change(path, b"new\n")], policy, journal)
        return problem + change_files([change(path, b"newer\n")], policy, journal)

    with ThreadPoolExecutor(8) as pool:
        problems = list(pool.map(write, range(40)))
    assert set(problems) == {""}
    assert {path.read_bytes() for path in root.iterdir()} == {b"newer\n"}
    assert len(names(root)) == 40
    assert not (tmp_path / "journal").exists()
