"""Advice in the terms of a terminal: a person has commands and options."""

import shlex
from collections.abc import Mapping

from databricks_responses_mcp.errors import Action, Advice

_SENTENCES: Mapping[Action, str] = {
    Action.LIST_MODELS: (
        "Run `databricks-responses-mcp models` to see the models of this workspace and how each is reached."
    ),
    Action.USE_NAME: "Did you mean {subject}?",
    Action.USE_NEW_NAME: "The workspace has moved this model to the name {subject}, which was asked: use that name.",
    Action.USE_MODEL: "In this workspace {subject} has it.",
    Action.LIST_CONVERSATIONS: "Run `databricks-responses-mcp conversations list` to see the stored conversations.",
    Action.CONTINUE_CONVERSATION: "To continue it, run `databricks-responses-mcp ask --conversation {subject}`.",
    Action.START_CONVERSATION: "Run `databricks-responses-mcp ask` to start a new conversation.",
    Action.COMPACT: (
        "To shorten the conversation, run `databricks-responses-mcp conversations compact {subject}`: a summary then "
        "replaces its earlier turns. Or pass context_management in --extra, if the endpoint accepts it."
    ),
    Action.CONTINUE_CALL: (
        "Commands do not answer calls: an MCP host does, with continue_databricks_model and conversation_id {subject}."
    ),
    Action.ASK: "Run `databricks-responses-mcp ask` to use {subject}.",
    Action.EDIT_AGAIN: "Run `databricks-responses-mcp edit` again to work from the files as they are now.",
    Action.LEAVE_OUT: "Leave out {subject}.",
    Action.RAISE: "Ask again with a larger {subject}.",
    Action.LOWER: "Lower {subject}.",
    Action.UNSET_LIMITS: (
        "To use this endpoint, unset RESPONSES_MCP_MAX_OUTPUT_TOKENS and RESPONSES_MCP_DAILY_TOKEN_BUDGET: these "
        "limits need a maximum in each request."
    ),
    Action.SIGN_IN: "To sign in, run `databricks auth login{subject}`.",
    Action.TRY_EMBEDDED: "To try it without a workspace, add --embedded.",
    Action.RUN_DOCTOR: "`databricks-responses-mcp doctor` shows which check fails.",
}
_OPTIONS = {
    "max_output_tokens": "--max-output-tokens",
    "service_tier": "service_tier of --extra",
    "temperature": "--temperature",
    "top_p": "--top-p",
}
"""The options that correspond to arguments of the tools, for the arguments that advice names."""

_ARGUMENT = (Action.LEAVE_OUT, Action.RAISE, Action.LOWER)
_CONVERSATION = (Action.CONTINUE_CONVERSATION, Action.COMPACT)


def terminal_words(advice: Advice) -> str:
    """Return one sentence that tells a person at a terminal what to do."""
    subject = advice.subject
    if advice.action in _ARGUMENT:
        subject = _OPTIONS.get(subject, subject)
    elif advice.action in _CONVERSATION:
        subject = shlex.quote(subject)
    elif advice.action is Action.SIGN_IN and subject:
        subject = f" {subject}"
    return _SENTENCES[advice.action].format(subject=subject)


def doctor_words(advice: Advice) -> str:
    """Return the same as `terminal_words`, without the advice to run the doctor, because its user just did."""
    return "" if advice.action is Action.RUN_DOCTOR else terminal_words(advice)
