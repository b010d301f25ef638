"""The parts of a prompt, and the interpretation of the arguments that a host sends.

Hosts pass arguments in very different ways (docs/prompts.md has a table). A form sends a text for each argument, empty
if it was skipped. Claude Code splits a command at spaces, assigns the words to the arguments in order and drops the
rest. opencode requests the prompt with ``$1``, ``$2`` … as values and replaces them with the words later.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

from mcp.shared.exceptions import MCPError
from mcp.types import INVALID_PARAMS, GetPromptResult, Prompt, PromptArgument, PromptMessage, TextContent

from databricks_responses_mcp.spelling import similar_names

Values = Literal["text models", "image models", "changes"]
"""Names of values that are looked up at run time; ``completion`` has their sources."""

_PLACEHOLDER = r"\$\d+"

_SPLIT_NOTE = (
    "If you can see the command as the user typed it, use that: some hosts pass only its first words, one for each "
    "argument."
)
_PLACEHOLDER_NOTE = (
    "The host fills in the values above from the words of the command, one for each. An empty value was not given: "
    "leave that argument out. If they make no sense individually, read them together, in order, as the user's request."
)


# Named tuples, because creating dataclasses takes longer than listing the prompts.
class Argument(NamedTuple):
    """An argument of a prompt. All are optional, so that the command works without arguments.

    Attributes:
        suggest: the values that its completion suggests, or their name.
        pattern: a pattern that the whole value must match; "" for any text.
        distinct_pattern: a stricter pattern, which no word of a sentence matches; "" if ``pattern`` is enough.
        expected: a description of valid values, for the error about an invalid one.
    """

    name: str
    description: str
    suggest: tuple[str, ...] | Values = ()
    pattern: str = ""
    distinct_pattern: str = ""
    expected: str = ""


class ArgumentValues(dict[str, str]):
    """The values of the arguments that were passed, by name.

    Attributes:
        note: what the host's model must know about them; "" for nothing.
    """

    note: str = ""


class Definition(NamedTuple):
    """A prompt.

    Attributes:
        write: returns the message for the given arguments.
    """

    name: str
    title: str
    description: str
    arguments: tuple[Argument, ...]
    write: Callable[[ArgumentValues], str]

    def as_mcp_prompt(self) -> Prompt:
        """Return the prompt for ``prompts/list``."""
        arguments = [PromptArgument(name=a.name, description=a.description, required=False) for a in self.arguments]
        return Prompt(name=self.name, title=self.title, description=self.description, arguments=arguments)

    def render(self, arguments: Mapping[str, str]) -> GetPromptResult:
        """Return the prompt's message for ``arguments``.

        Raises:
            MCPError: invalid params, for an unknown argument or an invalid value.
        """
        text = self.write(self._read_arguments(arguments))
        message = PromptMessage(role="user", content=TextContent(text=text))
        return GetPromptResult(description=self.description, messages=[message])

    def _read_arguments(self, raw: Mapping[str, str]) -> ArgumentValues:
        names = [argument.name for argument in self.arguments]
        if unknown := next((name for name in raw if name not in names), None):
            similar = similar_names(unknown, names)
            advice = f"Did you mean {similar[0]!r}?" if similar else f"Its arguments are {', '.join(names)}."
            raise MCPError(INVALID_PARAMS, f"The prompt {self.name} has no argument {unknown[:80]!r}. {advice}")
        given = ArgumentValues({name: value for name in names if (value := raw.get(name, "").strip())})
        if any(re.fullmatch(_PLACEHOLDER, value) for value in given.values()):
            given.note = _PLACEHOLDER_NOTE
            return given
        if not given or any(re.search(r"\s", value) for value in given.values()):
            self._check(given)
            return given
        if names[0] in given and not all(_matches(a, a.distinct_pattern or a.pattern, given) for a in self.arguments):
            given = ArgumentValues({names[0]: " ".join(given.values())})
        self._check(given)
        given.note = _SPLIT_NOTE
        return given

    def _check(self, given: ArgumentValues) -> None:
        for argument in self.arguments:
            if not _matches(argument, argument.pattern, given):
                raise MCPError(
                    INVALID_PARAMS,
                    f"The prompt {self.name} cannot take this {argument.name}: {given[argument.name][:80]!r}. "
                    f"Give {argument.expected}, or leave it out.",
                )


def model_argument(suggest: Values, description: str) -> Argument:
    """Return the argument ``model`` of a prompt."""
    return Argument(
        name="model",
        description=description,
        suggest=suggest,
        pattern=r"\w[\w.:/-]{0,200}",
        # Names of endpoints contain a hyphen, a dot or a digit; words of a sentence usually do not.
        distinct_pattern=r"(?=.*[\d._-])\w[\w.:/-]{0,200}",
        expected="the name of a serving endpoint, such as databricks-gpt-5",
    )


def quote_argument(given: ArgumentValues, name: str, words: str, otherwise: str) -> str:
    """Return ``words`` with the quoted value of an argument in place of ``{}``, or ``otherwise`` if it is missing."""
    if name not in given:
        return otherwise
    text = words.format(quote_text(given[name]))
    # The host may fill in an empty text later.
    return f"{text}\n\nIf the quote above is empty: {otherwise}" if re.fullmatch(_PLACEHOLDER, given[name]) else text


def list_options(given: ArgumentValues, *names: str) -> str:
    """Return lines that list the optional arguments of a call, and those to leave out."""
    lines = [f"   - `{name}`: {json.dumps(given[name], ensure_ascii=False)}" for name in names if name in given]
    if rest := [f"`{name}`" for name in names if name not in given]:
        lines.append(f"   Leave out {', '.join(rest)}: the default is right.")
    return "\n".join(lines)


def paragraphs(*parts: str) -> str:
    """Join the parts that are not empty with blank lines."""
    return "\n\n".join(part for part in parts if part)


def quote_text(text: str) -> str:
    """Return ``text`` as a block quote, so that it is not read as part of the instructions."""
    return "\n".join(f"> {line}".rstrip() for line in text.splitlines())


def fence_text(text: str, language: str) -> str:
    """Return ``text`` in a code fence that is longer than any in the text."""
    ticks = max((len(run) for run in re.findall(r"`{3,}", text)), default=2)
    fence = "`" * (ticks + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def _matches(argument: Argument, pattern: str, given: ArgumentValues) -> bool:
    value = given.get(argument.name)
    return value is None or not pattern or re.fullmatch(pattern, value) is not None
