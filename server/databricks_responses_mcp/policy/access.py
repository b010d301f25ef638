"""Decisions by the rules that apply to one user, made before anything is sent."""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from databricks_responses_mcp.errors import BridgeError, ErrorCode, quoted
from databricks_responses_mcp.policy.hosts import UnclearURLError, host_and_port, host_matches, url_matches
from databricks_responses_mcp.policy.refusal import PolicyError
from databricks_responses_mcp.policy.rules import PolicyRules, Rule, first_match, rules_of, total_rules

ALWAYS_ALLOWED_TOOL = "get_response"
"""Returns the results of the user's own calls; long calls of every other tool need it."""

_READ_ONLY_TOOLS = frozenset({"edit_files"})
_OTHER_TOOL_PARAMETERS = ("connectors", "functions", "mcp_servers", "plugins", "prompt", "web_search_options")
"""Parameters beside ``tools`` by which some APIs give a model tools, or a stored prompt that has some."""
_OTHER_CAPS = ("max_completion_tokens", "max_tokens")
_MORE_ANSWERS = ("best_of", "n")
_STORED_CONTEXT = ("conversation", "previous_response_id")
_MEDIA_FIELDS = ("image_url", "file_url", "video_url", "audio_url")
_SYSTEM_PREFIX, _LEGACY_PREFIX = "system.ai.", "databricks-"
_TYPE_VERSION = re.compile(r"_(?:preview|\d{4}_\d{2}_\d{2}|\d{8})")
_APP_HOST = re.compile(r"(?P<name>[a-z0-9-]+)-\d+\.(?:[a-z0-9-]+\.)*(?:azure)?databricksapps\.(?:com|us)(?=[:/]|$)")


@dataclass(frozen=True, slots=True)
class UsageLimits:
    """Limits of one user, or of all together; None where there is none."""

    tokens_per_day: Rule | None = None
    requests_per_minute: Rule | None = None
    concurrent_calls: Rule | None = None

    def __bool__(self) -> bool:
        return any((self.tokens_per_day, self.requests_per_minute, self.concurrent_calls))


class AccessPolicy:
    """The permissions of one user. The methods ``check_…`` raise `PolicyError`; the others say what applies.

    Args:
        rules: those that apply, by their keys such as ``models.deny``.
        total: the limits of all users together, by their keys.
        contact: whom users ask for more.
    """

    def __init__(self, rules: Mapping[str, Rule], total: Mapping[str, Rule], contact: str) -> None:
        self.rules = dict(rules)
        self.contact = contact
        self.user_limits = _limits(rules)
        self.total_limits = _limits(total)

    @classmethod
    def of_user(cls, policy: PolicyRules, subject: str, name: str) -> "AccessPolicy":
        """Return the permissions that the policy gives a user.

        Args:
            subject: the user's id at the issuer.
            name: what people know the user by.
        """
        return cls(rules_of(policy, subject, name), total_rules(policy), policy.contact)

    @property
    def folder(self) -> Rule | None:
        """The directory of local files that the user may use; in a shared directory each user has a subdirectory."""
        return self.rules.get("folder")

    @property
    def max_output_tokens(self) -> Rule | None:
        """The largest ``max_output_tokens`` of a request."""
        return self.rules.get("max_output_tokens")

    @property
    def has_model_rules(self) -> bool:
        """Whether `check_model` looks at names."""
        return "models.allow" in self.rules or "models.deny" in self.rules

    @property
    def is_read_only(self) -> bool:
        """Whether nothing may be changed outside of conversations."""
        rule = self.rules.get("read_only")
        return rule is not None and rule.value is True

    # Tools of the server.

    def allows_tool(self, name: str) -> bool:
        """Return whether the user may call a tool of the server, and is shown it."""
        return self._tool_rule(name) is None

    def check_tool(self, name: str) -> None:
        """Refuse a tool of the server that the user may not call."""
        if (rule := self._tool_rule(name)) is not None:
            self.refuse(f"The tool {name}", rule)

    def check_deletion(self) -> None:
        """Refuse to delete conversations in read-only mode."""
        self._check_writable("Deleting conversations")

    def check_saving(self) -> None:
        """Refuse to write to a place that the caller names in read-only mode."""
        self._check_writable("save_to")

    def check_approvals(self, outputs: Iterable[Any]) -> None:
        """Refuse to approve calls of MCP servers in read-only mode; refusing them is allowed."""
        if any(isinstance(output, Mapping) and output.get("approve") not in (None, False) for output in outputs):
            self._check_writable("Approving a call of an MCP server")

    # Models and surfaces.

    def check_model(self, name: str, known_as: Iterable[str] = ()) -> None:
        """Refuse a model.

        Args:
            name: as the request names it.
            known_as: other names of what answers, as the workspace lists them; only denied ones matter.
        """
        forms = _model_forms(name)
        self._check_denied("models.deny", f"The model {quoted(name)}", [*forms, *map(_folded, known_as)])
        self._check_allowed("models.allow", f"The model {quoted(name)}", forms)

    def allows_model(self, name: str, known_as: Iterable[str] = ()) -> bool:
        """Return whether `check_model` would let the model pass."""
        try:
            self.check_model(name, known_as)
        except PolicyError:
            return False
        return True

    def allows_surface(self, key: str) -> bool:
        """Return whether requests may use a surface."""
        rule = self.rules.get("surfaces.allow")
        return rule is None or first_match([key], rule.value) is not None

    def refuse_surfaces(self, keys: Sequence[str]) -> NoReturn:
        """Refuse a request that only these surfaces could carry."""
        self.refuse(f"The surface {' or '.join(keys)}", _with_values(self.rules["surfaces.allow"]))

    # The content of a request.

    def hold(self, body: dict[str, Any]) -> None:
        """Refuse a request with content that the rules do not allow, and fill in the picture's size and quality.

        Args:
            body: a Responses request as it will be sent; its ``tools`` may be replaced.
        """
        self._check_parameters(body)
        if {"model_tools.allow", "mcp_servers.allow", "images.sizes", "images.qualities"} & self.rules.keys():
            tools = body.get("tools")
            if tools is not None:
                body["tools"] = [self._held_tool(tool) for tool in self._tool_list(tools)]
        if "url_hosts.allow" in self.rules:
            for url in _remote_urls([body.get("input"), body.get("tools")]):
                self.check_url(url)

    def check_defined_servers(self, tools: object) -> None:
        """Refuse MCP servers that the caller defines by an address, beside those that are used by their names.

        Args:
            tools: the tools of a request as the caller gave them.
        """
        rule = self.rules.get("mcp_servers.allow")
        if tools is None or (rule is None and not self.is_read_only):
            return
        for tool in self._tool_list(tools):
            if not isinstance(tool, Mapping) or not _is_mcp(tool):
                continue
            where = tool.get("server_url") or tool.get("connector_id") or tool.get("tunnel_id")
            if self.is_read_only:
                self._check_writable(f"An MCP server that is not used by its configured name ({quoted(where)})")
            if rule is not None and not _is_allowed_server(tool, rule.value):
                self.refuse(f"The MCP server {quoted(where)}", _with_values(rule))

    def check_mcp_server(self, name: str) -> None:
        """Refuse an MCP server or MCP service that is used by its name."""
        self._check_allowed("mcp_servers.allow", f"The MCP server {quoted(name)}", [_folded(name)])

    def allows_mcp_server(self, name: str) -> bool:
        """Return whether `check_mcp_server` would let a name pass."""
        rule = self.rules.get("mcp_servers.allow")
        return rule is None or first_match([_folded(name)], rule.value) is not None

    def check_url(self, url: str) -> None:
        """Refuse a URL of an image or a file whose host is not allowed. Called for each redirect, too."""
        rule = self.rules.get("url_hosts.allow")
        if rule is None:
            return
        try:
            host, port = host_and_port(url)
        except UnclearURLError:
            self.refuse("The address of an image or file, which is not clear,", _with_values(rule))
        if not any(host_matches(pattern, host, port) for pattern in rule.value):
            self.refuse(
                f"The host {quoted(host if port == 443 else f'{host}:{port}')} of an image or file", _with_values(rule)
            )

    def check_pictures(self, count: int) -> None:
        """Refuse to draw more pictures in one call than are allowed."""
        rule = self.rules.get("images.max_count")
        if rule is not None and count > rule.value:
            self.refuse(f"Drawing {count} pictures in one call", _with_values(rule))

    def refuse(
        self,
        what: str,
        rule: str,
        *,
        code: ErrorCode = ErrorCode.PERMISSION_DENIED,
        retry_after_seconds: float | None = None,
    ) -> NoReturn:
        """Refuse something.

        Args:
            what: the subject of the sentence "… is not allowed".
            rule: the rule, with its place.
            retry_after_seconds: when the same call may succeed, if it may.

        Raises:
            PolicyError: always.
        """
        raise self.refusal(f"{what} is not allowed", rule, code=code, retry_after_seconds=retry_after_seconds)

    def refusal(
        self,
        what: str,
        rule: str,
        *,
        code: ErrorCode = ErrorCode.PERMISSION_DENIED,
        retry_after_seconds: float | None = None,
    ) -> PolicyError:
        """Return the refusal: what a sentence without its full stop says, and the rule."""
        return PolicyError(
            code,
            f"{what}: policy rule {rule}. Nothing was sent.",
            f"Keep to the rule, or ask {self.contact} to change it.",
            retryable=retry_after_seconds is not None,
            retry_after_seconds=retry_after_seconds,
            rule=rule,
        )

    def _tool_rule(self, name: str) -> str | None:
        """Return the rule that does not allow a tool; None if it is allowed."""
        if name == ALWAYS_ALLOWED_TOOL:
            return None
        rule = self.rules.get("tools.allow")
        if rule is not None and first_match([name], rule.value) is None:
            return _with_values(rule)
        return f"{self.rules['read_only'].place} = true" if self.is_read_only and name in _READ_ONLY_TOOLS else None

    def _check_writable(self, what: str) -> None:
        if self.is_read_only:
            self.refuse(what, f"{self.rules['read_only'].place} = true")

    def _check_denied(self, key: str, what: str, names: Iterable[str]) -> None:
        rule = self.rules.get(key)
        if rule is not None and (pattern := first_match(names, rule.value)) is not None:
            self.refuse(what, f'{rule.place} "{pattern}"')

    def _check_allowed(self, key: str, what: str, names: Iterable[str]) -> None:
        rule = self.rules.get(key)
        if rule is not None and first_match(names, rule.value) is None:
            self.refuse(what, _with_values(rule))

    def _check_parameters(self, body: Mapping[str, Any]) -> None:
        """Refuse parameters that would circumvent a rule."""
        rule = self.rules.get("model_tools.allow") or self.rules.get("mcp_servers.allow")
        if rule is not None:
            self._check_absent(body, (*_OTHER_TOOL_PARAMETERS, *_STORED_CONTEXT), rule)
        limit = self.max_output_tokens or self.user_limits.tokens_per_day or self.total_limits.tokens_per_day
        if limit is not None:
            self._check_absent(body, (*_OTHER_CAPS, *_MORE_ANSWERS), limit)

    def _check_absent(self, body: Mapping[str, Any], names: Iterable[str], rule: Rule) -> None:
        for name in names:
            if body.get(name) is not None:
                self.refuse(f"The parameter {name}", _with_values(rule))

    def _tool_list(self, tools: object) -> Sequence[Any]:
        if isinstance(tools, list | tuple):
            return tools
        raise BridgeError(
            ErrorCode.INVALID_ARGUMENT,
            "`tools` is not a list, so the policy cannot be applied to it. Nothing was sent.",
            "Give a list of tool definitions.",
        )

    def _held_tool(self, tool: Any) -> Any:
        kind = tool.get("type") if isinstance(tool, Mapping) else None
        if not isinstance(tool, Mapping) or not isinstance(kind, str):
            raise BridgeError(
                ErrorCode.INVALID_ARGUMENT,
                "A tool is not an object with a type, so the policy cannot be applied to it. Nothing was sent.",
                "Give each tool its type.",
            )
        forms = _type_forms(kind)
        self._check_allowed("model_tools.allow", f"The tool type {quoted(kind)}", forms)
        if forms[-1] != "image_generation":
            return tool
        if (model := tool.get("model")) is not None:
            self.check_model(str(model))
        return self._with_choice(self._with_choice(tool, "size", "images.sizes"), "quality", "images.qualities")

    def _with_choice(self, tool: Mapping[str, Any], field: str, key: str) -> Mapping[str, Any]:
        rule = self.rules.get(key)
        if rule is None:
            return tool
        if tool.get(field) is None:
            return {**tool, field: rule.value[0]}
        if tool[field] not in rule.value:
            self.refuse(f"The picture {field} {quoted(tool[field])}", _with_values(rule))
        return tool


def _limits(rules: Mapping[str, Rule]) -> UsageLimits:
    return UsageLimits(*(rules.get(key) for key in ("tokens_per_day", "requests_per_minute", "concurrent_calls")))


def _with_values(rule: Rule) -> str:
    """Return a rule with its value, as a refusal names it."""
    if not isinstance(rule.value, list):
        return f"{rule.place} = {rule.value}"
    shown = ", ".join(f'"{pattern}"' for pattern in rule.value[:10])
    return f"{rule.place} = [{shown}{', …' if len(rule.value) > 10 else ''}]"


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", name).strip().casefold()


def _model_forms(name: str) -> list[str]:
    """Return the names by which the workspace knows the same model."""
    folded = _folded(name)
    bare = folded
    while bare.startswith((_SYSTEM_PREFIX, _LEGACY_PREFIX)):
        bare = bare.removeprefix(_SYSTEM_PREFIX).removeprefix(_LEGACY_PREFIX)
    forms = [folded] if bare == folded else [folded, f"{_LEGACY_PREFIX}{bare}", f"{_SYSTEM_PREFIX}{bare}"]
    if folded.startswith(("https://", "http://")) and (app := _APP_HOST.match(folded.partition("://")[2])):
        forms.append(f"apps/{app['name']}")
    return list(dict.fromkeys(forms))


def _type_forms(kind: str) -> list[str]:
    """Return the type of a tool, and the type without its version: ``web_search`` for ``web_search_preview``."""
    folded = _folded(kind)
    return list(dict.fromkeys((folded, _TYPE_VERSION.sub("", folded))))


def _is_mcp(tool: Mapping[str, Any]) -> bool:
    return _type_forms(str(tool.get("type")))[-1] == "mcp" or "server_url" in tool


def _is_allowed_server(tool: Mapping[str, Any], patterns: list[str]) -> bool:
    """Return whether a server that the caller defines is allowed: by a pattern of its URL, or by its connector."""
    places = [tool[key] for key in ("server_url", "connector_id", "tunnel_id") if tool.get(key) is not None]
    if len(places) != 1 or not isinstance(places[0], str):
        return False
    if "server_url" not in tool:
        return first_match([_folded(places[0])], [p for p in patterns if p.startswith("connector_")]) is not None
    try:
        return any(url_matches(pattern, places[0]) for pattern in patterns if pattern.startswith("https://"))
    except UnclearURLError:
        return False


def _remote_urls(value: Any) -> Iterator[str]:
    """Yield the addresses of images, files, audio and video in a request that the model's provider would fetch."""
    left = [value]
    while left:
        one = left.pop()
        if isinstance(one, Mapping):
            for key, inner in one.items():
                if key in _MEDIA_FIELDS:
                    url = inner.get("url") if isinstance(inner, Mapping) else inner
                    if isinstance(url, str) and url[:5].casefold() != "data:":
                        yield url
                elif isinstance(inner, Mapping | list | tuple):
                    left.append(inner)
        elif isinstance(one, list | tuple):
            left += one
