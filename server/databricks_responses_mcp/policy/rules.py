"""The rules of a policy file, and which of them apply to a user."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Pattern = Annotated[str, StringConstraints(min_length=1, max_length=300)]
Count = Annotated[int, Field(ge=1, le=10**12)]
SMALLEST_OUTPUT = 16
"""Tokens. The Responses API refuses a smaller ``max_output_tokens``."""


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)


class Names(_Section):
    """Names that are allowed and denied, with the wildcards ``*`` and ``?``; of both, denied counts."""

    allow: list[Pattern] | None = None
    deny: list[Pattern] | None = None


class AllowedNames(_Section):
    """Names that are allowed, with the wildcards ``*`` and ``?``; no others are."""

    allow: list[Pattern] | None = None


class Images(_Section):
    """The pictures that may be drawn. The first size and the first quality are used where a request has none."""

    sizes: Annotated[list[Pattern], Field(min_length=1)] | None = None
    qualities: Annotated[list[Pattern], Field(min_length=1)] | None = None
    max_count: Count | None = None


class Limits(_Section):
    """The most that may be used. Of a user, or of all users together."""

    tokens_per_day: Annotated[int, Field(ge=SMALLEST_OUTPUT, le=10**15)] | None = None
    requests_per_minute: Annotated[int, Field(ge=1, le=100_000)] | None = None
    concurrent_calls: Annotated[int, Field(ge=1, le=100_000)] | None = None


class Rules(Limits):
    """One section of rules. A missing rule comes from the section before it; without any, all is allowed."""

    models: Names | None = None
    surfaces: AllowedNames | None = None
    tools: AllowedNames | None = None
    model_tools: AllowedNames | None = None
    url_hosts: AllowedNames | None = None
    mcp_servers: AllowedNames | None = None
    images: Images | None = None
    max_output_tokens: Annotated[int, Field(ge=SMALLEST_OUTPUT, le=10**9)] | None = None
    folder: Pattern | None = None
    read_only: bool | None = None


class Group(Rules):
    """Rules of the users that ``members`` names."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^[^\]\[\"\n]+$")]
    members: Annotated[list[Pattern], Field(min_length=1)]


class PolicyRules(_Section):
    """A whole policy file.

    Attributes:
        contact: whom users ask for more; part of each refusal.
        default: the rules of all users.
        total: limits of all users together.
        group: rules of groups of users, in the order of the file.
        users: rules of single users, by their name or their id at the issuer.
    """

    contact: Annotated[str, StringConstraints(min_length=1, max_length=300)] = "the administrator of this service"
    default: Rules = Rules()
    total: Limits = Limits()
    group: list[Group] = []
    users: dict[Pattern, Rules] = {}


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule that applies to a user.

    Attributes:
        place: where it is in the file, such as ``[default] models.deny``.
        value: its value there.
        is_of_one_user: whether it is in a section that can mean one user alone.
    """

    place: str
    value: Any
    is_of_one_user: bool = False


def rules_of(policy: PolicyRules, subject: str, name: str) -> dict[str, Rule]:
    """Return the rules that apply to a user, by their keys such as ``models.deny``.

    The sections are ``[default]``, the groups that the user is a member of, in the order of the file, and the user's
    own. A key that a later section has replaces the same key of the earlier ones.

    Args:
        subject: the user's id at the issuer.
        name: what people know the user by; compared without differences of case.
    """
    rules: dict[str, Rule] = {}
    for place, section, is_one in _sections(policy, subject, name):
        rules |= {key: Rule(f"{place} {key}", value, is_one) for key, value in _values(section)}
    return rules


def total_rules(policy: PolicyRules) -> dict[str, Rule]:
    """Return the limits of all users together, by their keys."""
    return {key: Rule(f"[total] {key}", value) for key, value in _values(policy.total)}


def is_user(pattern: str, subject: str, name: str) -> bool:
    """Return whether a pattern of a policy file matches the user: the id itself, or the name with wildcards."""
    return subject == pattern or fnmatchcase(name.casefold(), pattern.casefold())


def _sections(policy: PolicyRules, subject: str, name: str) -> Iterator[tuple[str, Rules, bool]]:
    yield "[default]", policy.default, False
    for group in policy.group:
        if any(is_user(member, subject, name) for member in group.members):
            yield f"[[group]] {group.name}:", group, False
    for key, rules in policy.users.items():
        if is_user(key, subject, name):
            yield f'[users."{key}"]', rules, "*" not in key and "?" not in key


def _values(section: Limits) -> Iterator[tuple[str, Any]]:
    for key in sorted(section.model_fields_set - {"name", "members"}):
        value = getattr(section, key)
        if isinstance(value, BaseModel):
            yield from ((f"{key}.{inner}", getattr(value, inner)) for inner in sorted(value.model_fields_set))
        elif value is not None:
            yield key, value


def first_match(names: Iterable[str], patterns: list[str]) -> str | None:
    """Return the first pattern that matches one of the names, which are in lower case; None if none does."""
    names = tuple(names)
    return next((pattern for pattern in patterns if any(fnmatchcase(name, pattern.casefold()) for name in names)), None)
