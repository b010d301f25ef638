"""Reading a policy file (TOML): every error names its place and the allowed values."""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from databricks_responses_mcp.errors import BridgeError, ErrorCode, quoted
from databricks_responses_mcp.policy.rules import Group, Images, Limits, Names, PolicyRules, Rules
from databricks_responses_mcp.spelling import similar_names
from databricks_responses_mcp.workspace.surfaces.surface import SurfaceKey

MAX_FILE_BYTES = 1_000_000
_MAX_SHOWN = 20
_MODEL_TOOLS = (
    "function", "custom", "web_search", "image_generation", "code_interpreter", "mcp", "apply_patch", "shell",
    "local_shell", "file_search", "computer", "computer_use",
)  # fmt: skip
_QUALITIES = ("auto", "low", "medium", "high", "xhigh", "max", "standard", "hd")
_SIZE = re.compile(r"auto|[1-9][0-9]{1,4}x[1-9][0-9]{1,4}")
_HOST = re.compile(r"(?:\*|(?:\*\.)?[^\s/@:*?\[\]]+|\[[0-9a-fA-F:.]+\])(?::(?:\*|[0-9]{1,5}))?")
_SECTIONS: Mapping[str, type[BaseModel]] = {
    "": PolicyRules, "default": Rules, "total": Limits, "group": Group, "users": Rules, "models": Names,
    "images": Images,
}  # fmt: skip
_NAME_LISTS = ("models", "surfaces", "tools", "model_tools", "url_hosts", "mcp_servers")


def read_policy(path: Path, tools: Sequence[str]) -> PolicyRules:
    """Read a policy file.

    Args:
        tools: the names of the server's tools.

    Raises:
        BridgeError: ``not_configured`` if the file cannot be read; ``invalid_argument`` naming every error in it.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise BridgeError(
            ErrorCode.NOT_CONFIGURED,
            f"The policy file {path} cannot be read: {error.strerror or type(error).__name__}.",
            "Name a TOML file that the server may read in RESPONSES_MCP_SERVICE_POLICY.",
        ) from error
    rules, problems = parse_policy(content, tools)
    if rules is not None:
        return rules
    shown = "".join(f"\n- {problem}" for problem in problems[:_MAX_SHOWN])
    more = f"\n- and {len(problems) - _MAX_SHOWN} more" if len(problems) > _MAX_SHOWN else ""
    raise BridgeError(
        ErrorCode.INVALID_ARGUMENT,
        f"The policy file {path} is not valid:{shown}{more}",
        "Correct it: without a valid policy the service does not start.",
    )


def parse_policy(content: bytes, tools: Sequence[str]) -> tuple[PolicyRules | None, list[str]]:
    """Return the rules of a file's content, or None and every error in it."""
    if len(content) > MAX_FILE_BYTES:
        return None, [f"the file is larger than {MAX_FILE_BYTES} bytes"]
    try:
        data = tomllib.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        return None, [f"line {content[: error.start].count(10) + 1}: the file is not UTF-8"]
    except tomllib.TOMLDecodeError as error:
        return None, [f"not valid TOML: {error}"]
    except RecursionError:
        return None, ["the file is nested too deeply"]
    try:
        rules = PolicyRules.model_validate(data)
    except ValidationError as error:
        details = error.errors(include_url=False)
        return None, [*map(_problem, details), *_problems_beside(data, details, tools)]
    problems = list(_value_problems(rules, tools))
    return (None if problems else rules), problems


def _problems_beside(data: dict[str, Any], details: Sequence[Mapping[str, Any]], tools: Sequence[str]) -> Iterator[str]:
    """Yield the wrong values beside those of ``details``, so that an administrator sees every error at once."""
    for detail in details:
        _remove(data, detail["loc"])
    try:
        rules = PolicyRules.model_validate(data)
    except ValidationError:
        return  # something that is needed is missing
    yield from _value_problems(rules, tools)


def _remove(data: dict[str, Any], location: Sequence[str | int]) -> None:
    """Remove a key; of an entry of a list the whole list, because later entries would have other numbers."""
    parts = list(location)
    while isinstance(parts[-1], int):
        parts.pop()
    section: Any = data
    for part in parts[:-1]:
        try:
            section = section[part]
        except (KeyError, IndexError, TypeError):
            return
    if isinstance(section, dict):
        section.pop(parts[-1], None)


def _problem(detail: Mapping[str, Any]) -> str:
    location = tuple(detail["loc"])
    place = _place(location)
    if detail["type"] == "extra_forbidden":
        known = _known_keys(location[:-1])
        near = similar_names(str(location[-1]), known)
        meant = f" Did you mean {near[0]}?" if near else ""
        return f"{place}: there is no such key.{meant} The keys are {', '.join(known)}."
    message = str(detail["msg"])
    return f"{place}: {message[:1].lower()}{message[1:]}, not {quoted(detail['input'], 60)}"


def _place(location: Sequence[str | int]) -> str:
    """Return a place in the file as TOML writes keys; entries of lists are counted from 1."""
    text = ""
    for part in location:
        if isinstance(part, int):
            text += f"[{part + 1}]"
        else:
            key = part if re.fullmatch(r"[A-Za-z0-9_-]+", part) else f'"{part[:100]}"'
            text += f".{key}" if text else key
    return text or "the file"


def _known_keys(section: Sequence[str | int]) -> list[str]:
    """Return the keys that a section may have."""
    parts = [part for part in section if isinstance(part, str)]
    if len(parts) == 2 and parts[0] == "users":
        return list(Rules.model_fields)
    if parts and parts[-1] in _NAME_LISTS and parts[-1] != "models":
        return ["allow"]
    return list(_SECTIONS[parts[-1] if parts else ""].model_fields)


def _value_problems(policy: PolicyRules, tools: Sequence[str]) -> Iterator[str]:
    yield from _section_problems("default", policy.default, tools)
    names: set[str] = set()
    for number, group in enumerate(policy.group, 1):
        yield from _section_problems(f"group[{number}]", group, tools)
        if group.name in names:
            yield f"group[{number}].name: two groups are called {quoted(group.name)}"
        names.add(group.name)
    seen: dict[str, str] = {}
    for key, rules in policy.users.items():
        yield from _section_problems(_place(("users", key)), rules, tools)
        if (other := seen.setdefault(key.casefold(), key)) != key:
            yield f"{_place(('users', key))}: means the same user as {quoted(other)}"


def _section_problems(place: str, rules: Rules, tools: Sequence[str]) -> Iterator[str]:
    known_lists = (
        ("surfaces", rules.surfaces, get_args(SurfaceKey)),
        ("tools", rules.tools, tools),
        ("model_tools", rules.model_tools, _MODEL_TOOLS),
    )
    for key, names, known in known_lists:
        for number, pattern in enumerate((names and names.allow) or (), 1):
            # Tools of models that are not known here may exist: only what is probably a typing error is refused.
            near = similar_names(pattern, known, likeness=0.75)
            if pattern not in known and "*" not in pattern and "?" not in pattern and (near or key != "model_tools"):
                meant = f" Did you mean {near[0]}?" if near else ""
                where = f"{place}.{key}.allow[{number}]"
                yield f"{where}: there is no {quoted(pattern)}.{meant} There are {', '.join(known)}."
    yield from _host_problems(place, rules)
    if rules.images is not None:
        for number, size in enumerate(rules.images.sizes or (), 1):
            if not _SIZE.fullmatch(size):
                yield f"{place}.images.sizes[{number}]: {quoted(size)} is neither WIDTHxHEIGHT nor auto"
        for number, quality in enumerate(rules.images.qualities or (), 1):
            if quality not in _QUALITIES:
                yield f"{place}.images.qualities[{number}]: {quoted(quality)} is none of {', '.join(_QUALITIES)}"
    if rules.folder is not None and not Path(rules.folder).is_absolute():
        yield f"{place}.folder: {quoted(rules.folder)} is not an absolute path"


def _host_problems(place: str, rules: Rules) -> Iterator[str]:
    for number, pattern in enumerate((rules.url_hosts and rules.url_hosts.allow) or (), 1):
        if not _HOST.fullmatch(pattern):
            yield (
                f"{place}.url_hosts.allow[{number}]: {quoted(pattern)} is not a host. Give a name, *.NAME or *, "
                "without https:// and path; :PORT or :* for other ports than 443."
            )
    for number, pattern in enumerate((rules.mcp_servers and rules.mcp_servers.allow) or (), 1):
        host = pattern.removeprefix("https://").partition("/")[0]
        if "://" in pattern and (not pattern.startswith("https://") or not _HOST.fullmatch(host)):
            yield f"{place}.mcp_servers.allow[{number}]: {quoted(pattern)} is not a pattern such as https://HOST/PATH*"
