"""Input items: their types and fields, and the pairing of calls and outputs."""

from typing import Any, Literal

from pydantic import Field

from databricks_workspace_emulator.contract.shapes import (
    MAX_ID_LENGTH,
    CallId,
    ItemStatus,
    Shape,
    join_path,
    read,
)
from databricks_workspace_emulator.replies import invalid, model_error

Item = dict[str, Any]


class _Item(Shape):
    type: str | None = None
    id: str | None = None
    status: str | None = None
    created_by: str | None = None
    caller: dict[str, Any] | None = None


class _Message(_Item):
    role: Literal["user", "system", "developer", "assistant"]
    content: str | list[dict[str, Any]]
    phase: Literal["commentary", "final_answer"] | None = None


class _InputText(Shape):
    type: Literal["input_text"]
    text: str


class _OutputText(Shape):
    type: Literal["output_text"]
    text: str
    annotations: list[dict[str, Any]] | None = None
    logprobs: list[dict[str, Any]] | None = None


class _Refusal(Shape):
    type: Literal["refusal"]
    refusal: str


class _InputImage(Shape):
    type: Literal["input_image"]
    image_url: str | None = None
    file_id: str | None = None
    detail: Literal["low", "high", "auto", "original"] | None = None


class _InputFile(Shape):
    type: Literal["input_file"]
    file_id: str | None = None
    file_url: str | None = None
    file_data: str | None = None
    filename: str | None = None
    detail: Literal["low", "high", "auto"] | None = None


class _Summary(Shape):
    type: Literal["summary_text"]
    text: str


class _ReasoningText(Shape):
    type: Literal["reasoning_text"]
    text: str


class _Reasoning(_Item):
    summary: list[_Summary]
    content: list[_ReasoningText] | None = None
    encrypted_content: str | None = None


class _Call(_Item):
    call_id: str = CallId


class _FunctionCall(_Call):
    name: str
    arguments: str
    namespace: str | None = None


class _Output(_Call):
    output: str | list[dict[str, Any]]
    name: str | None = None
    namespace: str | None = None


class _CustomCall(_Call):
    name: str
    input: str
    namespace: str | None = None


class _PatchOperation(Shape):
    type: Literal["create_file", "update_file", "delete_file"]
    path: str
    diff: str | None = None


class _PatchCall(_Call):
    operation: _PatchOperation
    status: Literal["in_progress", "completed"]


class _PatchOutput(_Call):
    status: Literal["completed", "failed"]
    output: str | None = None


class _ShellAction(Shape):
    commands: list[str]
    timeout_ms: int | None = None
    max_output_length: int | None = None


class _ShellCall(_Call):
    action: _ShellAction
    environment: dict[str, Any] | None = None


class _ShellOutcome(Shape):
    type: Literal["exit", "timeout"]
    exit_code: int | None = None


class _ShellOutputPart(Shape):
    stdout: str
    stderr: str
    outcome: _ShellOutcome
    created_by: str | None = None


class _ShellOutput(_Call):
    output: list[_ShellOutputPart]
    max_output_length: int | None = None


class _Picture(_Item):
    id: str
    result: str | None
    status: str
    action: str | None = None
    background: str | None = None
    output_format: str | None = None
    quality: str | None = None
    revised_prompt: str | None = None
    size: str | None = None
    error: dict[str, Any] | None = None


class _WebSearch(_Item):
    action: dict[str, Any]


class _McpListTools(_Item):
    server_label: str
    tools: list[dict[str, Any]]
    error: str | None = None


class _McpCall(_Item):
    server_label: str
    name: str
    arguments: str
    output: str | None = None
    error: str | dict[str, Any] | None = None
    approval_request_id: str | None = None


class _McpApprovalRequest(_Item):
    id: str
    server_label: str
    name: str
    arguments: str


class _McpApprovalResponse(_Item):
    approval_request_id: str = Field(max_length=MAX_ID_LENGTH)
    approve: bool
    reason: str | None = None


class _Compaction(_Item):
    encrypted_content: str


ITEMS: dict[str, type[_Item]] = {
    "message": _Message,
    "reasoning": _Reasoning,
    "function_call": _FunctionCall,
    "function_call_output": _Output,
    "custom_tool_call": _CustomCall,
    "custom_tool_call_output": _Output,
    "apply_patch_call": _PatchCall,
    "apply_patch_call_output": _PatchOutput,
    "shell_call": _ShellCall,
    "shell_call_output": _ShellOutput,
    "image_generation_call": _Picture,
    "web_search_call": _WebSearch,
    "mcp_list_tools": _McpListTools,
    "mcp_call": _McpCall,
    "mcp_approval_request": _McpApprovalRequest,
    "mcp_approval_response": _McpApprovalResponse,
    "compaction": _Compaction,
}

_INPUT_PARTS: dict[str, type[Shape]] = {
    "input_text": _InputText,
    "input_image": _InputImage,
    "input_file": _InputFile,
}
_OUTPUT_PARTS: dict[str, type[Shape]] = {"output_text": _OutputText, "refusal": _Refusal}


def read_items(value: str | list[Item]) -> list[Item]:
    """Return the input as a list of items, each with its ``type``.

    Raises:
        ApiError: 400 for an item that the API would not accept, naming it.
    """
    if isinstance(value, str):
        return [{"type": "message", "role": "user", "content": value}]
    items = [_read_item(item, f"input[{index}]") for index, item in enumerate(value)]
    if not items:
        raise model_error("One of 'input', 'previous_response_id' or 'prompt' must be provided.", param="input")
    _check_pairs(items)
    return items


def _read_item(item: Item, where: str) -> Item:
    kind = item.get("type", "message" if "role" in item else None)
    if kind == "item_reference":
        raise model_error(
            f"Item with id '{item.get('id')}' not found. Items are not stored: send the item itself.", param=where
        )
    shape = ITEMS.get(kind) if isinstance(kind, str) else None
    if shape is None:
        raise invalid(f"{where}.type", f"Invalid value: {kind!r}. Supported values are: {', '.join(ITEMS)}.")
    _check_id(item.get("id"), f"{where}.id")
    checked = read(shape, item, where)
    if isinstance(checked, _Message):
        _check_content(checked.content, where, _OUTPUT_PARTS if checked.role == "assistant" else _INPUT_PARTS)
    if isinstance(checked, _Output):
        _check_content(checked.output, where, _INPUT_PARTS, field="output")
    if "status" in item and not isinstance(checked, (_PatchOutput, _Picture, _WebSearch, _McpCall)):
        read(_Status, {"status": item["status"]}, where)
    return {**item, "type": kind}


class _Status(Shape):
    status: ItemStatus | None


def _check_id(value: object, where: str) -> None:
    if isinstance(value, str) and len(value) > MAX_ID_LENGTH:
        raise model_error(
            f"Invalid '{where}': string too long. Expected a string with maximum length {MAX_ID_LENGTH}, "
            f"but got a string with length {len(value)} instead.",
            param=where,
            code="string_above_max_length",
        )


def _check_content(
    content: str | list[Item], where: str, parts: dict[str, type[Shape]], field: str = "content"
) -> None:
    if isinstance(content, str):
        return
    for index, part in enumerate(content):
        path = join_path(where, [field, index])
        kind = part.get("type")
        shape = parts.get(kind) if isinstance(kind, str) else None
        if shape is None:
            raise invalid(f"{path}.type", f"Invalid value: {kind!r}. Supported values are: {', '.join(parts)}.")
        checked = read(shape, part, path)
        if isinstance(checked, (_InputImage, _InputFile)) and checked.file_id:
            raise model_error(f"No file with id '{checked.file_id}': files are not stored.", param=f"{path}.file_id")
        if isinstance(checked, _InputImage) and not checked.image_url:
            raise invalid(f"{path}.image_url", f"Missing required parameter: '{path}.image_url'.")
        if isinstance(checked, _InputFile) and not (checked.file_url or checked.file_data):
            raise invalid(f"{path}.file_data", f"Missing required parameter: '{path}.file_data' or 'file_url'.")
        if isinstance(checked, _InputFile) and (checked.file_data or "").startswith("data:"):
            _check_file_type(str(checked.file_data), path)


_FILE_TYPES = (
    "text/",
    "application/pdf",
    "application/rtf",
    "application/msword",
    "application/vnd.ms-",
    "application/vnd.oasis.opendocument.",
    "application/vnd.openxmlformats-officedocument.",
    "application/json",
)


def _check_file_type(data_url: str, path: str) -> None:
    mime_type = data_url[5:].partition(",")[0].partition(";")[0]
    if not mime_type.startswith(_FILE_TYPES):
        raise model_error(
            f"Invalid file data: '{path}.file_data'. Expected a base64-encoded data URL with a supported MIME type "
            f"(such as application/pdf), but got unsupported MIME type '{mime_type}'.",
            param=f"{path}.file_data",
            code="invalid_value",
        )


_PAIRS = {
    "function_call": ("function_call_output", "function call"),
    "custom_tool_call": ("custom_tool_call_output", "custom tool call"),
    "apply_patch_call": ("apply_patch_call_output", "apply patch call"),
    "shell_call": ("shell_call_output", "shell call"),
}


def _check_pairs(items: list[Item]) -> None:
    for call, (output, words) in _PAIRS.items():
        called = [item["call_id"] for item in items if item["type"] == call]
        answered = [item["call_id"] for item in items if item["type"] == output]
        for call_id in called:
            if call_id not in answered:
                raise model_error(f"No tool output found for {words} {call_id}.", param="input")
        for call_id in answered:
            if call_id not in called:
                raise model_error(f"No tool call found for {words} output with call_id {call_id}.", param="input")
    asked = {item["id"] for item in items if item["type"] == "mcp_approval_request"}
    for item in items:
        if item["type"] == "mcp_approval_response" and item["approval_request_id"] not in asked:
            raise model_error(f"No approval request found with id {item['approval_request_id']}.", param="input")
