"""Gemini's generateContent: requests in its words, answers in those of the Responses API."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot

from databricks_responses_mcp.responses.accumulator import ResponseAssembler
from databricks_responses_mcp.responses.gemini_events import GeminiEvents
from databricks_responses_mcp.responses.gemini_request import to_gemini
from databricks_responses_mcp.responses.unsupported import UntranslatableError

PNG = "data:image/png;base64,iVBORw0KGgo="


def user(*parts: Any) -> dict[str, Any]:
    return {"type": "message", "role": "user", "content": list(parts)}


def body(*items: Any, **fields: Any) -> dict[str, Any]:
    return {"model": "databricks-gemini-3-pro-image", "input": list(items), "stream": True, **fields}


DRAW = {"type": "image_generation", "size": "1536x1024", "partial_images": 2}


def test_a_drawing_with_a_reference_in_a_conversation() -> None:
    earlier = {"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": "iVBORw0KGgo="}
    said = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Here it is."}]}
    told, notes = to_gemini(
        body(
            user({"type": "input_text", "text": "A fox"}),
            earlier,
            said,
            user({"type": "input_text", "text": "At night"}, {"type": "input_image", "image_url": PNG}),
            tools=[{**DRAW, "quality": "high"}],
            tool_choice={"type": "image_generation"},
            instructions="Be calm.",
            max_output_tokens=500,
            temperature=0.5,
        )
    )
    assert told == snapshot(
        {
            "contents": [
                {
                    "role": "user",
                    "parts": [
                        {"text": "A fox"},
                        {"text": "An image that was generated earlier in this conversation:"},
                        {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}},
                    ],
                },
                {"role": "model", "parts": [{"text": "Here it is."}]},
                {
                    "role": "user",
                    "parts": [{"text": "At night"}, {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}}],
                },
            ],
            "systemInstruction": {"parts": [{"text": "Be calm."}]},
            "generationConfig": {
                "responseModalities": ["TEXT", "IMAGE"],
                "maxOutputTokens": 500,
                "temperature": 0.5,
                "imageConfig": {"aspectRatio": "3:2", "imageSize": "1K"},
            },
        }
    )
    assert notes == snapshot(
        ["Left out of the request, because Gemini's generateContent does not support it: image_generation.quality."]
    )


@pytest.mark.parametrize(
    ("size", "shape"),
    [
        ("1024x1024", {"aspectRatio": "1:1", "imageSize": "1K"}),
        ("1024x1536", {"aspectRatio": "2:3", "imageSize": "1K"}),
        ("3840x2160", {"aspectRatio": "16:9", "imageSize": "4K"}),
        ("2560x1080", {"aspectRatio": "21:9", "imageSize": "2K"}),
        ("auto", None),
        ("0x10", None),
        ("²x³", None),
        (None, None),
    ],
)
def test_a_size_becomes_the_nearest_shape(size: str | None, shape: dict[str, str] | None) -> None:
    told, _ = to_gemini(body(user({"type": "input_text", "text": "x"}), tools=[{**DRAW, "size": size}]))
    assert told["generationConfig"].get("imageConfig") == shape


def test_documents_and_recordings_go_as_data() -> None:
    parts = [
        {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="},
        {"type": "audio_url", "audio_url": {"url": "data:audio/wav;base64,UklGRg=="}},
        {"type": "video_url", "video_url": {"url": "https://youtu.be/abc"}},
    ]
    told, _ = to_gemini(body(user(*parts)))
    assert told["contents"][0]["parts"] == snapshot(
        [
            {"inlineData": {"mimeType": "application/pdf", "data": "JVBERi0="}},
            {"inlineData": {"mimeType": "audio/wav", "data": "UklGRg=="}},
            {"fileData": {"fileUri": "https://youtu.be/abc"}},
        ]
    )
    assert told["generationConfig"] == {"responseModalities": ["TEXT"]}


@pytest.mark.parametrize(
    ("fields", "feature"),
    [
        ({"tools": [{"type": "function", "name": "f"}]}, "function tools"),
        ({"tools": [{**DRAW, "input_image_mask": {"image_url": PNG}}]}, "masks"),
        ({"text": {"format": {"type": "json_schema", "schema": {}}}}, "structured output"),
        ({"input": [user({"type": "input_image", "image_url": "https://example.com/a.png"})]}, "images"),
        ({"input": [user({"type": "odd"})]}, "odd content"),
    ],
)
def test_what_it_lacks_is_named(fields: dict[str, Any], feature: str) -> None:
    with pytest.raises(UntranslatableError) as caught:
        to_gemini({**body(user({"type": "input_text", "text": "x"})), **fields})
    assert caught.value.feature == feature


def assembled(*chunks: Any, marked: bool = False) -> Any:
    reader, assembler = GeminiEvents("m"), ResponseAssembler()
    for chunk in chunks:
        for event in reader.feed(chunk):
            assembler.feed(event)
    for event in reader.finish(marked=marked):
        assembler.feed(event)
    return assembler.result()


def answer(*parts: Any, finish: str | None = "STOP", **fields: Any) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": list(parts)}}
    return {"candidates": [candidate | ({"finishReason": finish} if finish else {})], **fields}


def test_text_and_a_picture_are_read_and_thoughts_are_not() -> None:
    usage = {"promptTokenCount": 5, "candidatesTokenCount": 7, "thoughtsTokenCount": 2, "totalTokenCount": 14}
    result = assembled(
        answer(
            {"text": "hm", "thought": True},
            {"inlineData": {"mimeType": "image/png", "data": "AAAA"}, "thought": True},
            {"text": "Here: "},
            {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}, "thoughtSignature": "s"},
            {"text": "Done."},
            modelVersion="gemini-3-pro-image",
            usageMetadata=usage,
        )
    )
    assert result.status == "completed"
    assert [(item["type"], item.get("result")) for item in result.output] == [
        ("message", None),
        ("image_generation_call", "iVBORw0KGgo="),
        ("message", None),
    ]
    assert (result.fields["usage"]["input_tokens"], result.fields["usage"]["output_tokens"]) == (5, 9)


@pytest.mark.parametrize(
    ("chunks", "status"),
    [
        ([answer({"text": "a"}, finish="MAX_TOKENS")], "incomplete"),
        ([answer(finish="IMAGE_SAFETY")], "incomplete"),
        ([{"promptFeedback": {"blockReason": "SAFETY"}}], "incomplete"),
        ([answer(finish="NO_IMAGE")], "completed"),
        ([[answer({"text": "a"}, finish=None), answer({"text": "b"})]], "completed"),
        ([answer({"text": "a"}, finish=None)], "cut"),
    ],
)
def test_how_an_answer_ends(chunks: list[Any], status: str) -> None:
    assert assembled(*chunks).status == status


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["candidates", "content", "parts", "text", "inlineData", "data", "usageMetadata", "error", "type"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_no_json_fails(value: Any) -> None:
    assembled(value)
    json.dumps(assembled(answer(value, usageMetadata=value), {"candidates": value}).output, default=str)


@given(JSON)
def test_no_input_fails_but_by_what_is_untranslatable(value: Any) -> None:
    for fields in ({"input": value}, {"input": [user(value)]}, {"tools": [DRAW, value]}, {"text": value}):
        try:
            to_gemini({**body(), **fields})
        except UntranslatableError:
            continue
