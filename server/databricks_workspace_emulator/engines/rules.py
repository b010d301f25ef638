"""The engine without a model: a rule writes the text, always the same for a request, and says that no model did.

A test, or a person who wants to see how a host shows something, can request a certain answer by a directive in the last
user message:

    [[say TEXT]]        exactly TEXT                    [[words 200]]   an answer of 200 numbered words
    [[empty]]           a message with no text          [[echo]]        the conversation as it was received, as JSON
    [[refuse]]          a refusal instead of text       [[filter]]      an answer that the content filter has cut
    [[only reasoning]]  incomplete before any text      [[fail]]        the engine breaks down after a few words
    [[no tools]]        no tool is called               [[commentary]]  a `commentary` message before the answer
    [[approval]]        a supervising agent asks for approval before it does anything
    [[misfit N]]        the first N patches do not fit the file; each that is answered as failed is corrected
"""

import json
import re
from collections.abc import AsyncIterator, Sequence

import anyio.lowlevel

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_workspace_emulator.conversation import NOTE
from databricks_workspace_emulator.engines.base import ChatMessage, TextRequest
from databricks_workspace_emulator.schema_filling import fill

DIRECTIVES = (
    "say",
    "words",
    "empty",
    "echo",
    "refuse",
    "filter",
    "only reasoning",
    "fail",
    "no tools",
    "commentary",
    "misfit",
    "approval",
)
"""Their names."""

_DIRECTIVE = re.compile(rf"\[\[\s*({'|'.join(DIRECTIVES)})\b(.*?)\]\]", re.DOTALL)
_PIECE = re.compile(r"\s*\S+\s*$|\s*\S+")
_MAX_WORDS = 100_000
_HONEST = "No model was asked: this is the embedded workspace's rule engine."


def directive(text: str) -> tuple[str, str]:
    """Return the first directive in ``text`` and its argument; two empty strings if there is none."""
    match = _DIRECTIVE.search(text)
    return (match[1], match[2].strip()) if match else ("", "")


class RulesEngine:
    """Answers by rule."""

    @property
    def label(self) -> str:
        """The engine's name."""
        return "embedded-rules"

    async def stream(self, request: TextRequest) -> AsyncIterator[str]:
        """Yield the answer, word by word.

        Raises:
            BridgeError: if a directive requests it.
        """
        for number, piece in enumerate(_PIECE.findall(_answer(request)) or [""]):
            if number == 3 and directive(_last_prompt(request))[0] == "fail":
                raise BridgeError(ErrorCode.UPSTREAM_ERROR, "The rule engine was told to fail.", "Leave out [[fail]].")
            await anyio.lowlevel.checkpoint()
            yield piece

    async def aclose(self) -> None:
        """Do nothing: there is nothing to stop."""


def _answer(request: TextRequest) -> str:
    prompt = _last_prompt(request)
    name, argument = directive(prompt)
    if name == "say":
        return argument
    if name == "words":
        count = min(int(argument), _MAX_WORDS) if argument.isdecimal() else 100
        return " ".join(f"word{number}" for number in range(1, count + 1))
    if name == "empty":
        return ""
    if name == "echo":
        return json.dumps([[message.role, message.content] for message in request.messages], ensure_ascii=False)
    if request.json_schema is not None:
        return json.dumps(fill(request.json_schema, prompt), ensure_ascii=False)
    return _describe(request.messages, prompt)


def _last_prompt(request: TextRequest) -> str:
    spoken = [
        message.content
        for message in request.messages
        if message.role == "user" and not message.content.startswith(NOTE)
    ]
    return spoken[-1] if spoken else ""


def _describe(messages: Sequence[ChatMessage], prompt: str) -> str:
    lines = [_HONEST]
    words = prompt.split()
    if words:
        start = " ".join(words[:12])
        more = " …" if len(words) > 12 else ""
        length = f"{_counted(len(prompt), 'character')} in {_counted(len(words), 'word')}"
        lines.append(f"You sent {length}, beginning: “{start}{more}”")
    pictures = re.findall(r"\[image(?: at|:) ([^\]]+)\]", prompt)
    files = re.findall(r"\[file ([^\]]+)\]", prompt)
    if pictures:
        lines.append(f"With {_counted(len(pictures), 'image')}: {'; '.join(pictures)}.")
    if files:
        lines.append(f"With {_counted(len(files), 'file')}: {'; '.join(files)}.")
    earlier = sum(said.role == "assistant" and not said.content.startswith(NOTE) for said in messages)
    if earlier:
        lines.append(f"The conversation has {_counted(earlier, 'earlier answer')}.")
    lines += [said.content for said in messages if said.role == "user" and said.content.startswith(NOTE)]
    return "\n".join(lines)


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
