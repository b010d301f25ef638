"""What a prompt is made of, and how what a person typed becomes its arguments.

Hosts hand arguments over in very different ways (docs/prompts.md has a table). A form gives each its own text, empty
where it was skipped. Claude Code splits a command at its spaces, gives the words to the arguments in order and drops
the rest. opencode asks for the prompt with ``$1``, ``$2`` … in place of values and puts the words in later.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

from mcp.shared.exceptions import MCPError
from mcp.types import INVALID_PARAMS, GetPromptResult, Prompt, PromptArgument, PromptMessage, TextContent

from databricks_responses_mcp.spelling import similar_names

Values = Literal["text models", "image models", "changes"]
"""Values of arguments that are not always the same; ``completion`` knows how to find them."""

_PLACEHOLDER = r"\$\d+"

_CUT = (
    "If you can see the command as the user typed it, go by that: some hosts hand over only its first words, one to "
    "each argument."
)
_TO_BE_FILLED = (
    "The host fills the values above in from the words of the command, one to each. An empty one was not given: leave "
    "that argument out. Where they make no sense one by one, read them together, in order, as what the user wants."
)


# Named tuples, not dataclasses: those take longer to make than the whole list of prompts.
class Argument(NamedTuple):
    """An argument of a prompt; all are optional, so that the bare command does something sensible.

    Attributes:
        suggest: what its completion suggests: these values, or those that go by this name.
        shape: a pattern that its whole value must match; "" for any text.
        distinct: the same, for a value that cannot be taken for a word of a sentence; "" if ``shape`` is enough.
        told_as: what it takes, for the error that refuses another value.
    """

    name: str
    description: str
    suggest: tuple[str, ...] | Values = ()
    shape: str = ""
    distinct: str = ""
    told_as: str = ""


class Given(dict[str, str]):
    """The values that were given, by the names of their arguments.

    Attributes:
        remark: what the host's model must know of them; "" if nothing.
    """

    remark: str = ""


class Definition(NamedTuple):
    """A prompt.

    Attributes:
        write: makes the message from what was given.
    """

    name: str
    title: str
    description: str
    arguments: tuple[Argument, ...]
    write: Callable[[Given], str]

    def listed(self) -> Prompt:
        """As hosts list it."""
        arguments = [PromptArgument(name=a.name, description=a.description, required=False) for a in self.arguments]
        return Prompt(name=self.name, title=self.title, description=self.description, arguments=arguments)

    def get(self, arguments: Mapping[str, str]) -> GetPromptResult:
        """The prompt, written for ``arguments``.

        Raises:
            MCPError: invalid params, for an argument that it does not have or a value that cannot be one.
        """
        text = self.write(self._given(arguments))
        message = PromptMessage(role="user", content=TextContent(text=text))
        return GetPromptResult(description=self.description, messages=[message])

    def _given(self, raw: Mapping[str, str]) -> Given:
        names = [argument.name for argument in self.arguments]
        if unknown := next((name for name in raw if name not in names), None):
            near = similar_names(unknown, names)
            advice = f"Did you mean {near[0]!r}?" if near else f"Its arguments are {', '.join(names)}."
            raise MCPError(INVALID_PARAMS, f"The prompt {self.name} has no argument {unknown[:80]!r}. {advice}")
        given = Given({name: value for name in names if (value := raw.get(name, "").strip())})
        if any(re.fullmatch(_PLACEHOLDER, value) for value in given.values()):
            given.remark = _TO_BE_FILLED
            return given
        if not given or any(re.search(r"\s", value) for value in given.values()):
            self._check(given)
            return given
        if names[0] in given and not all(_fits(a, a.distinct or a.shape, given) for a in self.arguments):
            given = Given({names[0]: " ".join(given.values())})
        self._check(given)
        given.remark = _CUT
        return given

    def _check(self, given: Given) -> None:
        for argument in self.arguments:
            if not _fits(argument, argument.shape, given):
                raise MCPError(
                    INVALID_PARAMS,
                    f"The prompt {self.name} cannot take this {argument.name}: {given[argument.name][:80]!r}. "
                    f"Give {argument.told_as}, or leave it out.",
                )


def model_argument(suggest: Values, description: str) -> Argument:
    """The argument ``model`` of a prompt."""
    return Argument(
        name="model",
        description=description,
        suggest=suggest,
        shape=r"\w[\w.:/-]{0,200}",
        # Endpoint names have a hyphen, a dot or a digit; a word of a sentence has none.
        distinct=r"(?=.*[\d._-])\w[\w.:/-]{0,200}",
        told_as="the name of a serving endpoint, such as databricks-gpt-5",
    )


def named(given: Given, name: str, words: str, otherwise: str) -> str:
    """What the message is about: ``words`` with the value of an argument in place of ``{}``, or else ``otherwise``."""
    if name not in given:
        return otherwise
    text = words.format(quoted(given[name]))
    # What the host fills in later may turn out to be nothing.
    return (
        f"{text}\n\nIf nothing stands in the quote above: {otherwise}"
        if re.fullmatch(_PLACEHOLDER, given[name])
        else text
    )


def options(given: Given, *names: str) -> str:
    """The lines of a call that say what its optional arguments are, and which to leave out."""
    lines = [f"   - `{name}`: {json.dumps(given[name], ensure_ascii=False)}" for name in names if name in given]
    if rest := [f"`{name}`" for name in names if name not in given]:
        lines.append(f"   Leave out {', '.join(rest)}: the default is right.")
    return "\n".join(lines)


def paragraphs(*parts: str) -> str:
    """The parts that say something, a blank line between them."""
    return "\n\n".join(part for part in parts if part)


def quoted(text: str) -> str:
    """``text`` as a block quote, so that nobody takes it for a part of the instructions."""
    return "\n".join(f"> {line}".rstrip() for line in text.splitlines())


def fenced(text: str, language: str) -> str:
    """``text`` in a fence that nothing in it can close."""
    ticks = max((len(run) for run in re.findall(r"`{3,}", text)), default=2)
    fence = "`" * (ticks + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def _fits(argument: Argument, pattern: str, given: Given) -> bool:
    value = given.get(argument.name)
    return value is None or not pattern or re.fullmatch(pattern, value) is not None
