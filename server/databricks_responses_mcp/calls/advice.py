"""Advice for MCP: a host's model has tools and arguments."""

from collections.abc import Mapping

from databricks_responses_mcp.errors import Action, Advice

_SENTENCES: Mapping[Action, str] = {
    Action.LIST_MODELS: "Call list_databricks_models to see the models of this workspace and how each is reached.",
    Action.USE_NAME: "Did you mean {subject}?",
    Action.USE_NEW_NAME: "The workspace has moved this model to the name {subject}, which was asked: use that name.",
    Action.USE_MODEL: "In this workspace {subject} has it.",
    Action.LIST_CONVERSATIONS: "Call manage_conversations with action list to see the stored conversations.",
    Action.CONTINUE_CONVERSATION: (
        'To continue it, call ask_databricks_model with conversation_id "{subject}" and a prompt.'
    ),
    Action.START_CONVERSATION: "Call ask_databricks_model without conversation_id to start a new conversation.",
    Action.COMPACT: (
        'To shorten the conversation, call manage_conversations with action compact and conversation_id "{subject}": '
        "a summary then replaces its earlier turns. Or pass context_management in extra, if the endpoint accepts it."
    ),
    Action.CONTINUE_CALL: (
        'First call continue_databricks_model with conversation_id "{subject}" and one output for each pending call.'
    ),
    Action.ASK: "Call ask_databricks_model to use {subject}.",
    Action.EDIT_AGAIN: "Call edit_files again to work from the files as they are now.",
    Action.LEAVE_OUT: "Leave out {subject}.",
    Action.RAISE: "Ask again with a larger {subject}.",
    Action.LOWER: "Lower {subject}.",
    Action.UNSET_LIMITS: (
        "To use this endpoint, unset RESPONSES_MCP_MAX_OUTPUT_TOKENS and RESPONSES_MCP_DAILY_TOKEN_BUDGET: these "
        "limits need max_output_tokens in each request."
    ),
    Action.SIGN_IN: "To sign in, have the user run `databricks auth login{subject}`.",
    Action.TRY_EMBEDDED: "To try it without a workspace, start the server with --embedded.",
    Action.RUN_DOCTOR: "`databricks-responses-mcp doctor` shows which check fails.",
}


def mcp_words(advice: Advice) -> str:
    """Return one sentence that tells a host's model what to do."""
    subject = advice.subject
    if advice.action is Action.SIGN_IN and subject:
        subject = f" {subject}"
    return _SENTENCES[advice.action].format(subject=subject)
