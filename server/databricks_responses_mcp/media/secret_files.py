"""Files that usually contain passwords, keys and tokens: they are not sent to a model unless a setting allows it."""

import re
from itertools import pairwise
from pathlib import Path

from databricks_responses_mcp.media.file_names import canonical, is_git_name

_NAMES = frozenset(
    {
        ".boto",
        ".credentials.json",
        ".databrickscfg",
        ".dockercfg",
        ".envrc",
        ".git-credentials",
        ".htpasswd",
        ".my.cnf",
        ".mylogin.cnf",
        ".netrc",
        ".npmrc",
        ".pgpass",
        ".pypirc",
        ".renviron",
        ".s3cfg",
        ".terraformrc",
        ".vault-token",
        ".yarnrc.yml",
        "_netrc",
        "application_default_credentials.json",
        "credentials",
        "credentials.json",
        "credentials.tfrc.json",
        "credentials.toml",
        "kubeconfig",
        "pgpass.conf",
        "terraform.rc",
        "token-cache.json",
        "wallet.dat",
    }
)
_FOLDERS = frozenset({".aws", ".azure", ".gnupg", ".kube", ".oci", ".password-store", ".ssh"})
_FOLDER_PAIRS = frozenset(
    {
        (".cargo", "credentials"),
        (".codex", "auth.json"),
        (".config", "gcloud"),
        (".config", "gh"),
        (".config", "glab-cli"),
        (".docker", "config.json"),
        (".gem", "credentials"),
        (".streamlit", "secrets.toml"),
    }
)
_ENV = re.compile(r"(.*\.env|\.env\..+)", re.DOTALL)
_ENV_EXAMPLE = re.compile(
    r"\.env\.(.+\.)?(example|sample|template|dist|defaults?|schema)|\.?(example|sample|template)\.env", re.DOTALL
)
_PATTERNS = re.compile(
    r".+\.(pem|key|p8|p12|pfx|jks|keystore|ppk|kdbx?|ovpn|tfstate|kubeconfig|mobileprovision)(\.(bak|old|backup))?"
    r"|id_(rsa|dsa|ecdsa|ed25519)(_sk)?([._-].*)?"
    r"|secrets?\.(ya?ml|json|toml|ini|env)"
    r"|(client_secret|service[-_]?account).*\.json",
    re.DOTALL,
)


def is_secret_file(path: Path) -> bool:
    """Return whether a path names a file that usually contains secrets: by its name alone, in any spelling."""
    parts = [canonical(part) for part in path.parts]
    name = parts[-1] if parts else ""
    if any(is_git_name(part) for part in path.parts) or _FOLDERS.intersection(parts[:-1]):
        return True
    if any(pair in _FOLDER_PAIRS for pair in pairwise(parts)):
        return True
    if path.is_absolute() and parts[1:2] in (["proc"], ["sys"]):  # the environment of processes contains tokens
        return True
    if name in _NAMES:
        return True
    if _ENV.fullmatch(name):
        return _ENV_EXAMPLE.fullmatch(name) is None
    return _PATTERNS.fullmatch(name) is not None and not name.endswith(".pub")
