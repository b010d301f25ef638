"""Files that hold secrets: refused by their names, in every spelling, unless a setting allows them."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from inline_snapshot import snapshot

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.media.images_in import load_images
from databricks_responses_mcp.media.input_files import FileLimits, read_files
from databricks_responses_mcp.media.path_policy import AllowedPaths
from databricks_responses_mcp.media.secret_files import is_secret_file
from databricks_responses_mcp.media.staging import Staging
from databricks_responses_mcp.media.write_journal import WriteJournal

pytestmark = pytest.mark.anyio
posix = pytest.mark.skipif(sys.platform == "win32", reason="links need rights on Windows")

SECRETS = [
    ".env",
    ".env.production",
    "prod.env",
    ".envrc",
    "server.pem",
    "tls/private.key",
    "cert.p12",
    "id_rsa",
    "id_ed25519",
    "id_rsa.old",
    ".netrc",
    "_netrc",
    ".npmrc",
    ".pypirc",
    ".databrickscfg",
    ".pgpass",
    ".git-credentials",
    ".aws/credentials",
    ".aws/config",
    ".kube/config",
    "kubeconfig",
    ".ssh/config",
    ".docker/config.json",
    ".config/gcloud/application_default_credentials.json",
    ".config/gh/hosts.yml",
    ".git/config",
    ".git/HEAD",
    "sub/.git/modules/a/config",
    "terraform.tfstate",
    "secrets.yaml",
    ".streamlit/secrets.toml",
    "service-account-prod.json",
    # Other spellings of the same files.
    ".ENV",
    "Server.PEM",
    ".git /config",
    ".GIT/config",
    ".g\u200cit/config",
    "\uff0egit/config",
    ".env::$DATA",
    ".env.",
    ".env ",
    "GIT~1/config",
]
ORDINARY = [
    "app.py",
    ".env.example",
    ".env.local.sample",
    "example.env",
    "environment.py",
    "id_rsa.pub",
    ".gitignore",
    ".github/workflows/ci.yml",
    "config.json",
    "secrets.py",
    "src/keys.py",
    "key.txt",
    "git/config",
    "proc/cpuinfo",
    "credentials.md",
]


@pytest.mark.parametrize("name", SECRETS)
def test_a_file_of_secrets_is_known_by_every_spelling_of_its_name(name: str) -> None:
    assert is_secret_file(Path("/project") / name)


@pytest.mark.parametrize("name", ORDINARY)
def test_an_ordinary_file_is_not_taken_for_one(name: str) -> None:
    assert not is_secret_file(Path("/project") / name)


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux")
def test_what_the_system_tells_of_processes_is_secret() -> None:
    assert is_secret_file(Path("/proc/self/environ"))


async def refusal(root: Path, name: str) -> tuple[str, str]:
    with pytest.raises(BridgeError) as caught:
        await read_files(["app.py", name], FileLimits(1000), base=root, allowed=AllowedPaths([root]))
    assert caught.value.code is ErrorCode.PERMISSION_DENIED
    return caught.value.message, caught.value.hint


@pytest.mark.parametrize("name", [".env", ".env:1-1", ".env#L1", "./x/../.env", "absent.pem", "link"])
@posix
async def test_a_secret_file_is_refused_by_every_name_whether_it_exists_or_not(tmp_path: Path, name: str) -> None:
    (tmp_path / "app.py").write_text("x\n")
    (tmp_path / "x").mkdir()
    (tmp_path / ".env").write_text("TOKEN=secret\n")
    (tmp_path / "link").symlink_to(".env")
    message, hint = await refusal(tmp_path, name)
    assert "indicates passwords, keys or other secrets" in message
    assert "RESPONSES_MCP_ALLOW_SECRET_FILES=true" in hint


async def test_the_refusal_says_which_file_why_and_which_setting_opens_it(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("x\n")
    assert " ".join(await refusal(tmp_path, ".env")) == snapshot(
        "“.env” may not be used: its name indicates passwords, keys or other secrets, and its content would be sent to "
        "the model. Leave it out, or copy the parts without secrets to another file; "
        "RESPONSES_MCP_ALLOW_SECRET_FILES=true allows it."
    )


async def test_an_allowed_directory_does_not_allow_the_secret_files_in_it(
    tmp_path: Path, picture: Callable[..., bytes]
) -> None:
    (tmp_path / ".env").write_text("TOKEN=secret\n")
    (tmp_path / "id_rsa").write_bytes(picture())
    for roots in ([tmp_path], None):
        for read in (
            read_files([".env"], FileLimits(1000), base=tmp_path, allowed=AllowedPaths(roots)),
            load_images(["id_rsa"], max_bytes=1000, base=tmp_path, allowed=AllowedPaths(roots).also(tmp_path)),
            Staging.read(
                [str(tmp_path / ".env")],
                allowed=AllowedPaths(roots),
                max_bytes=1000,
                max_total_bytes=1000,
                journal=WriteJournal(tmp_path / "journal"),
            ),
        ):
            with pytest.raises(BridgeError, match="RESPONSES_MCP_ALLOW_SECRET_FILES"):
                await read
        opened = AllowedPaths(roots, secrets=True)
        (file,) = await read_files([".env"], FileLimits(1000), base=tmp_path, allowed=opened)
        assert file.text == "TOKEN=secret\n"
