"""All prompts."""

from collections.abc import Mapping

from mcp.shared.exceptions import MCPError
from mcp.types import INVALID_PARAMS, GetPromptResult, Prompt

from databricks_responses_mcp.prompts.definition import Definition
from databricks_responses_mcp.prompts.illustrate import PROMPT as ILLUSTRATE
from databricks_responses_mcp.prompts.review_diff import PROMPT as REVIEW_DIFF
from databricks_responses_mcp.prompts.second_opinion import PROMPT as SECOND_OPINION

PROMPTS: dict[str, Definition] = {prompt.name: prompt for prompt in (SECOND_OPINION, REVIEW_DIFF, ILLUSTRATE)}
"""By name, in the order in which hosts see them."""


def list_prompts() -> list[Prompt]:
    """Return the prompts for ``prompts/list``."""
    return [prompt.as_mcp_prompt() for prompt in PROMPTS.values()]


def get_prompt(name: str, arguments: Mapping[str, str]) -> GetPromptResult:
    """Return a prompt with its arguments filled in.

    Raises:
        MCPError: invalid params, for an unknown name or argument, or an invalid value.
    """
    if name not in PROMPTS:
        raise MCPError(INVALID_PARAMS, f"There is no prompt {name[:80]!r}. The prompts are {', '.join(PROMPTS)}.")
    return PROMPTS[name].render(arguments)
