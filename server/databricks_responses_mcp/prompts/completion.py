"""``completion/complete``: the values that match what a person has typed so far.

The protocol has one handler for all prompts and resource templates. It finds the source of the values and ranks them.
An error or a timeout of a source leads to an empty completion, never to an error in the host.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence

import anyio
from mcp.types import Completion, CompletionArgument, PromptReference, ResourceTemplateReference

from databricks_responses_mcp.calls.state import App
from databricks_responses_mcp.errors import BridgeError
from databricks_responses_mcp.prompts.catalogue import PROMPTS
from databricks_responses_mcp.prompts.change_names import list_change_names
from databricks_responses_mcp.prompts.definition import Values
from databricks_responses_mcp.prompts.endpoint_names import list_image_models, list_text_models

logger = logging.getLogger(__name__)

DEADLINE_SECONDS = 2.0
_MAX_VALUES = 100  # in one answer, by the protocol
_MAX_IDS = 100

Source = Callable[[App, str], Awaitable[Sequence[str]]]
"""Returns the possible values for what was typed so far, the most likely first. May raise ``BridgeError``."""


async def list_image_names(app: App, typed: str) -> Sequence[str]:
    """Return the names of saved images, the newest first."""
    return await app.pictures.names()


async def list_conversation_ids(app: App, typed: str) -> Sequence[str]:
    """Return the ids of stored conversations whose id or title contains what was typed, the newest first."""
    found = await app.bridge.store.conversations(limit=_MAX_IDS, contains=typed)
    return [summary.conversation_id for summary in found]


VALUES: Mapping[Values, Source] = {
    "text models": list_text_models,
    "image models": list_image_models,
    "changes": list_change_names,
}
"""The sources of the values of prompts' arguments."""
RESOURCES: Mapping[str, Mapping[str, Source]] = {
    "image://{name}": {"name": list_image_names},
    "conversation://{id}": {"id": list_conversation_ids},
    "model://{name}": {"name": list_text_models},
}
"""The sources of the values of resource templates' variables."""


async def complete(
    app: App, reference: PromptReference | ResourceTemplateReference, argument: CompletionArgument
) -> Completion:
    """Return the matching values, best first. Never raises an error, and returns within `DEADLINE_SECONDS`."""
    source = _source(reference, argument.name)
    values: Sequence[str] = ()
    if source is not None:
        with anyio.move_on_after(DEADLINE_SECONDS):
            try:
                values = rank(await source(app, argument.value), argument.value)
            except BridgeError as error:
                logger.info("no completion of %s: %s", argument.name, error)
            except Exception:
                logger.exception("completion of %s failed", argument.name)
    return Completion(values=list(values[:_MAX_VALUES]), total=len(values), has_more=len(values) > _MAX_VALUES)


def rank(values: Sequence[str], typed: str) -> list[str]:
    """Return values that begin with what was typed, then those that contain it, ignoring case, in their order."""
    wanted = typed.strip().casefold()
    matching = [value for value in values if wanted in value.casefold()]
    return sorted(matching, key=lambda value: not value.casefold().startswith(wanted))


def _source(reference: PromptReference | ResourceTemplateReference, argument: str) -> Source | None:
    if isinstance(reference, ResourceTemplateReference):
        return RESOURCES.get(reference.uri, {}).get(argument)
    prompt = PROMPTS.get(reference.name)
    known = next((a for a in prompt.arguments if a.name == argument), None) if prompt is not None else None
    if known is None:
        return None
    return VALUES[known.suggest] if isinstance(known.suggest, str) else _always(known.suggest)


def _always(values: Sequence[str]) -> Source:
    async def suggest(app: App, typed: str) -> Sequence[str]:
        return values

    return suggest
