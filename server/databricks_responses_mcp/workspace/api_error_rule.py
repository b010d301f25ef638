"""One row of the table of known failures: its conditions, and what it means."""

import re
from dataclasses import dataclass

from databricks_responses_mcp.errors import Action, Advice, ErrorCode, Feature, Reason
from databricks_responses_mcp.workspace.error_bodies import ErrorBody


@dataclass(frozen=True, slots=True)
class Rule:
    """One row. It matches if all of its conditions hold; an empty condition is not checked.

    Attributes:
        code: the error contract's code.
        hint: what to do; ``{model}``, ``{param}`` and ``{host}`` are filled in. It names no tool and no command.
        advice: what else to do; ``{param}`` is filled in.
        says: what happened, as the start of a sentence that ends with the upstream's own text.
        retryable: whether the same call may succeed later.
        reason: what exactly failed, where the row determines it; else `api_error_rules.find_reason` does.
        feature: what is missing, where the row determines it.
        statuses: one of these HTTP statuses.
        codes: one of these codes, upper case.
        text: a pattern that is found in the text, ignoring case.
        params: one of these parameters, named by the error or in its text.
    """

    code: ErrorCode
    hint: str
    advice: tuple[Advice, ...]
    says: str
    retryable: bool
    reason: Reason | None
    feature: Feature | None
    statuses: frozenset[int]
    codes: frozenset[str]
    text: str
    params: tuple[str, ...]

    def fits(self, status: int | None, body: ErrorBody, text: str) -> bool:
        """Return whether all conditions of this row hold."""
        # Patterns are compiled (and cached by ``re``) when an error needs them: most processes never have one.
        return (
            (not self.statuses or status in self.statuses)
            and (not self.codes or bool(self.codes & body.codes))
            and (not self.text or re.search(self.text, text, re.IGNORECASE) is not None)
            and (not self.params or self.named_param(body, text) is not None)
        )

    def named_param(self, body: ErrorBody, text: str) -> str | None:
        """Return which of the row's parameters the error is about."""
        if not self.params or body.param in self.params:
            return body.param
        names = "|".join(map(re.escape, self.params))
        found = re.search(rf"(?<![\w.])({names})(?!\w)", text)
        return found[1] if found else None


def rule(
    code: ErrorCode,
    hint: str,
    says: str,
    *,
    status: int | tuple[int, ...] = (),
    codes: str = "",
    text: str = "",
    params: tuple[str, ...] = (),
    retryable: bool = False,
    reason: Reason | None = None,
    feature: Feature | None = None,
    advice: tuple[Action | Advice, ...] = (),
) -> Rule:
    """Return a row; ``codes`` are separated by spaces."""
    return Rule(
        code=code,
        hint=hint,
        advice=tuple(Advice(one) if isinstance(one, Action) else one for one in advice),
        says=says,
        retryable=retryable,
        reason=reason,
        feature=feature,
        statuses=frozenset((status,) if isinstance(status, int) else status),
        codes=frozenset(codes.split()),
        text=text,
        params=params,
    )
