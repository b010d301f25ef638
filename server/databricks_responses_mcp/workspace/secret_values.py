"""The secrets that this process knows, by value: they are removed from every text that leaves it, in any encoding.

Texts of other programs may contain other secrets too; those are recognised only by their format (`redaction`).
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, TypeVar
from urllib.parse import quote, unquote

from pydantic_core import to_json

from databricks_responses_mcp.errors import BridgeError

T = TypeVar("T")

REDACTED = "[redacted]"

MIN_SECRET_LENGTH = 6
"""In characters. Removing shorter values would damage other words."""

_MAX_SECRETS = 500
_MAX_USER_SECRETS = 32
# A long user name alone may be a token.
_MIN_TOKEN_LENGTH = 16
_UNFIT = re.compile("[\ud800-\udfff]")
_PATH = re.compile(r"[/~.]|[A-Za-z]:[\\/](?!/)")
_NAMES = re.compile(
    r"(?:DATABRICKS|ARM|AZURE|GOOGLE|PG|RESPONSES_MCP)\w*?(?:TOKEN|SECRET|PASSWORD|PASSWD|API_KEY|CREDENTIALS)", re.I
)
_URLS = re.compile(r"(?:https?|all|ftp|no)_proxy|DATABRICKS_HOST|RESPONSES_MCP_STORE", re.I)
_PARAMETER = re.compile(r"(?:^|[?&\s])(?:ssl)?password\s*=\s*('[^']*'|[^\s&]+)", re.I)


class SecretValues:
    """Values that must not be shown. Other threads may add to it.

    The newest 500 forms are kept: a token that is renewed every hour is dropped after some days.
    """

    _most = _MAX_SECRETS

    def __init__(self) -> None:
        # Replaced as a whole, so that readers in other threads see the old or the new one. The longest first.
        self._forms: tuple[str, ...] = ()
        self._as_json: tuple[bytes, ...] = ()
        self._newest: tuple[str, ...] = ()

    def for_user(self) -> "SecretValues":
        """Return what holds these values, also those that are added to these later, and a user's own.

        A user's own values are known to the returned object alone; the newest 32 forms of them are kept.
        """
        return _UserSecretValues(self)

    @property
    def longest(self) -> int:
        """The length of the longest form, in characters."""
        forms = self._known()[0]
        return len(forms[0]) if forms else 0

    def add(self, *values: str | None) -> None:
        """Add values as they are, and as they appear in URLs, JSON and Python's quotes; None is ignored."""
        forms: list[str] = []
        for value in values:
            forms += _forms(value) if value is not None else ()
        added = [form for form in dict.fromkeys(forms) if form not in self._newest and not self._has(form)]
        if added:
            self._know((*self._newest, *added)[-self._most :])

    def with_more(self, values: Iterable[str]) -> "SecretValues":
        """Return a copy that has these and other values: a caller's secrets cannot displace those of the process."""
        more = SecretValues()
        more.add(*values)
        if not more._newest:
            return self
        more._know((*self._known()[0], *more._newest))
        return more

    def add_url(self, text: str | None) -> None:
        """Add the credentials in a URL, also in one that is mistyped; `password=` in connection strings too."""
        if not text or _PATH.match(text):
            return
        # If the password contains reserved characters, its end is uncertain: both readings are secrets, and so are
        # their parts, because an error of a parser may repeat one.
        for end in {text.find("@"), text.rfind("@")} - {-1}:
            user = re.sub(r"^[^/@:]*:?/{1,3}|^[^/@:]*:(?=[^/@:]*:)", "", text[:end])
            name, colon, password = user.partition(":")
            if colon:
                self.add(password, *re.split(r"[/?#:@]", password))
            elif len(name) >= _MIN_TOKEN_LENGTH:
                self.add(name)
        self.add(*(found[1].strip("'") for found in _PARAMETER.finditer(text)))

    def add_environment(self, environ: Mapping[str, str]) -> None:
        """Add the tokens, passwords and secrets in the environment that this program uses."""
        for name, value in environ.items():
            if _URLS.fullmatch(name):
                self.add_url(value)
            elif _NAMES.fullmatch(name):
                self.add(value)

    def remove(self, text: str) -> str:
        """Return the text without the values."""
        for form in self._known()[0]:
            if form in text:
                text = text.replace(form, REDACTED)
        return text

    def beginning_at_end(self, text: str) -> int:
        """Return how many characters at the end of a text may be the beginning of a secret; 0 for none."""
        forms = self._known()[0]
        if not any(text[-1:] in form for form in forms):
            return 0  # as for every line that ends: few secrets contain a line break
        # The first character excludes almost every position quickly.
        starts = {form[0] for form in forms}
        for at in range(max(len(text) - self.longest + 1, 0), len(text)):
            if text[at] in starts and any(form.startswith(text[at:]) for form in forms):
                return len(text) - at
        return 0

    def remove_from(self, value: T) -> T:
        """Return a JSON value without the values, also in its keys; the same object if it contains none."""
        if not isinstance(value, str) and not _may_hold(value, self._known()[1]):
            return value
        removed: T = self._removed(value)
        return removed

    def remove_from_error(self, error: BridgeError) -> BridgeError:
        """Return the same failure without the values."""
        return replace(
            error,
            message=self.remove(error.message),
            hint=self.remove(error.hint),
            advice=tuple(replace(advice, subject=self.remove(advice.subject)) for advice in error.advice),
            partial=self.remove_from(error.partial),
        )

    def _known(self) -> tuple[tuple[str, ...], tuple[bytes, ...]]:
        """Return all forms, the longest first, and those of them that JSON can have, as it has them."""
        return self._forms, self._as_json

    def _has(self, form: str) -> bool:
        """Return whether a form is known from elsewhere."""
        return False

    def _know(self, forms: tuple[str, ...]) -> None:
        self._newest = forms
        self._forms, self._as_json = _ordered(forms)

    def _removed(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.remove(value)
        if isinstance(value, dict):
            return {self._removed(key): self._removed(item) for key, item in value.items()}
        if type(value) in (list, tuple):
            return type(value)(map(self._removed, value))
        return value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SecretValues) and self._known()[0] == other._known()[0]

    __hash__ = None  # type: ignore[assignment] # it changes

    def __repr__(self) -> str:
        return f"SecretValues({len(self._known()[0])} forms)"


class _UserSecretValues(SecretValues):
    """The values of a service and those of one of its users; see `SecretValues.for_user`."""

    _most = _MAX_USER_SECRETS

    def __init__(self, shared: SecretValues) -> None:
        super().__init__()
        self._shared = shared
        self._merged: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
        self._all: tuple[tuple[str, ...], tuple[bytes, ...]] = ((), ())

    def _known(self) -> tuple[tuple[str, ...], tuple[bytes, ...]]:
        shared, own = self._shared._known()[0], self._newest
        if not own:
            return self._shared._known()
        if self._merged[0] is not shared or self._merged[1] is not own:
            self._all = _ordered((*shared, *own))
            self._merged = shared, own
        return self._all

    def _has(self, form: str) -> bool:
        return form in self._shared._known()[0]


def _ordered(forms: Iterable[str]) -> tuple[tuple[str, ...], tuple[bytes, ...]]:
    """Return the forms, the longest first, and as JSON has them; no text that can be encoded holds one that cannot."""
    ordered = tuple(sorted(forms, key=len, reverse=True))
    return ordered, tuple(to_json(form)[1:-1] for form in ordered if _UNFIT.search(form) is None)


def _may_hold(value: object, forms: Iterable[bytes]) -> bool:
    """Return whether a JSON value may contain one of the forms, which include their JSON encoding.

    One search in the whole JSON is much faster than one in each text of the value, and most values contain none.
    """
    if not forms:
        return False
    try:
        text = to_json(value, fallback=_nothing)
    except ValueError:
        return True  # a value without JSON, such as a lone surrogate
    return any(form in text for form in forms)


def _nothing(value: object) -> None:
    """Leave out what is not searched: the base64 of an image."""


def _forms(value: str) -> list[str]:
    bare = re.sub(r"^(?:Bearer|Basic)\s+", "", value.strip(), flags=re.IGNORECASE)
    if len(bare) < MIN_SECRET_LENGTH:
        return []
    plain = unquote(bare)
    return [
        form
        for form in (
            bare,
            plain,
            quote(bare, safe=""),
            quote(plain, safe=""),
            json.dumps(bare)[1:-1],
            json.dumps(bare, ensure_ascii=False)[1:-1],
            repr(bare)[1:-1],
        )
        if len(form) >= MIN_SECRET_LENGTH
    ]
