"""The prompt ``illustrate``."""

import json

from databricks_responses_mcp.prompts.definition import (
    Argument,
    ArgumentValues,
    Definition,
    list_options,
    model_argument,
    paragraphs,
    quote_argument,
)

_SIZES = ("auto", "1024x1024", "1536x1024", "1024x1536", "2048x2048", "3840x2160")
_QUALITIES = ("auto", "low", "medium", "high", "xhigh", "max")
_STYLES = (
    "photograph",
    "watercolor",
    "oil painting",
    "pencil sketch",
    "line drawing",
    "flat vector illustration",
    "isometric illustration",
    "technical diagram",
    "infographic",
    "comic",
    "pixel art",
    "3D rendering",
    "blueprint",
    "woodcut",
)

_FROM_CONVERSATION = (
    "The picture must illustrate the latest subject of this conversation. If there is none yet, ask the user what to "
    "draw and stop."
)

_STEPS = """\
1. Decide on one picture that shows this at a glance.
2. Call the tool `generate_image` once, with these arguments:
   - `prompt`: a description of that picture, in full: the subject, what it does, the setting, the composition, light \
and colours, {style}; words that must appear in it, in quotes, and few of them. The model that draws sees nothing of \
this conversation.
   - `images`: the paths or URLs of pictures to start from, if the user has named any.
{options}
3. Show the user the picture, or where it was saved (`path` in the result), and say in a sentence what it shows. \
Drawing costs money: draw again only if the user asks for it. If the call failed, say so, with what the error's \
`hint` advises."""


def _write(given: ArgumentValues) -> str:
    style = json.dumps(given.get("style"), ensure_ascii=False)
    return paragraphs(
        "Draw a picture with a model of the Databricks workspace.",
        quote_argument(given, "subject", "What to draw:\n\n{}", _FROM_CONVERSATION),
        _STEPS.format(
            style=f"and the style, which is {style}" if "style" in given else "and a style that fits",
            options=list_options(given, "size", "quality", "model"),
        ),
        given.note,
    )


PROMPT = Definition(
    name="illustrate",
    title="Illustrate this",
    description="Generate an image of a subject, or of the topic of the conversation, with a Databricks model.",
    # Arguments with a pattern come before free ones, so that the second word shows whether the host split a sentence.
    arguments=(
        Argument(name="subject", description="What to draw. Default: the current topic of the conversation."),
        Argument(
            name="size",
            description="WIDTHxHEIGHT, for example 1536x1024, or auto. Default: the model's.",
            suggest=_SIZES,
            pattern=r"auto|[1-9]\d{0,4}x[1-9]\d{0,4}",
            expected="WIDTHxHEIGHT such as 1536x1024, or auto",
        ),
        Argument(
            name="quality",
            description="low, medium, high, xhigh, max or auto. Default: the model's.",
            suggest=_QUALITIES,
            pattern="|".join(_QUALITIES),
            expected="low, medium, high, xhigh, max or auto",
        ),
        Argument(
            name="style",
            description="For example watercolor or technical diagram. Default: chosen by the model.",
            suggest=_STYLES,
        ),
        model_argument("image models", "Serving endpoint for images. Default: the configured image model."),
    ),
    write=_write,
)
