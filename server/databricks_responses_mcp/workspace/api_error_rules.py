"""What known failures mean: a table from the properties of an error to its code and advice. The first match counts.

Rows with more conditions stand above rows with fewer.
"""

import re

from databricks_responses_mcp.errors import Action, Advice, ErrorCode, Feature, Reason
from databricks_responses_mcp.workspace.api_error_rule import Rule, rule
from databricks_responses_mcp.workspace.api_error_rules_access import ACCESS_RULES, SIGN_IN, SIGN_IN_AGAIN
from databricks_responses_mcp.workspace.error_bodies import ErrorBody

_E = ErrorCode
_UNSUPPORTED = (
    r"not (?:be )?(?:supported|allowed|permitted|available|accepted|enabled)|unsupported|unknown parameter|"
    r"unrecognized|extra inputs|does ?n[o']t support|disallowed"
)
_SEND_LESS = "Send less: fewer or smaller files and images, or start a new conversation."
_SMALLER = "Send fewer or smaller images and files."
_REPHRASE = "Rephrase the request; the same text will be refused again."
_ASK_ACCESS = "Ask an administrator for access, for example CAN QUERY on the endpoint."
_CORRECT = "Correct what the message names and ask again."
_NO_REASONING = (
    "Ask again without the earlier reasoning items: they can only be read by the model that made them "
    "(invalid_encrypted_content)."
)
_UNREADABLE = "The model could not read the encrypted reasoning of an earlier turn"
_TOO_LONG = "The prompt is longer than the model {model} can read"
_TOOLS = r"(?<![\w-])(?:web_search(?:_preview)?|image_generation|apply_patch|shell|mcp|custom)(?![\w-])"

_CONTINUE = (
    "Leave previous_response_id out and pass the argument conversation_id with the value of the earlier result: the "
    "bridge keeps the conversation itself."
)
_IS_MISSING = r"(?:not (?:be )?found|does(?: not|n't) exist|no longer exists|expired)"
_OBJECTS = (
    r"(?:responses?|conversations?|items?|files?|vector[ _]stores?|containers?|prompts?|connectors?|connections?|"
    r"genie[ _]spaces?|spaces?|knowledge[ _]assistants?|uc[ _]functions?|functions?|apps?|index|indexes)"
)
"""Objects that a request may name besides its model."""

RULES: tuple[Rule, ...] = (
    *ACCESS_RULES,
    # Size limits.
    rule(
        _E.INVALID_ARGUMENT,
        "Leave ids out of the input items, or shorten them to 64 characters.",
        "An id in the input is longer than 64 characters, the most that the workspace reads back",
        text=r"(?:too long|at most|maximum length|length).{0,80}\b64\b",
    ),
    rule(
        _E.TOO_LARGE,
        _SEND_LESS,
        _TOO_LONG,
        reason=Reason.CONTEXT_TOO_LONG,
        text=r"context[_ ](?:length|window)|maximum context|prompt is too long|input (?:is )?too long|too many tokens",
    ),
    rule(
        _E.TOO_LARGE,
        _SEND_LESS,
        _TOO_LONG,
        reason=Reason.CONTEXT_TOO_LONG,
        codes="CONTEXT_LENGTH_EXCEEDED STRING_ABOVE_MAX_LENGTH",
        text=r"context|token|input",
    ),
    rule(
        _E.TOO_LARGE,
        _SMALLER,
        "The request is larger than model serving accepts",
        text=r"maximum allowed content length|RequestSize\(bytes\)|request (?:entity|body|payload)? ?(?:is )?too large|"
        r"payload too large",
    ),
    rule(_E.TOO_LARGE, _SMALLER, "The request is too large", status=413),
    # Content.
    rule(
        _E.CONTENT_FILTERED,
        _REPHRASE,
        "The provider's content filter refused the request",
        codes="CONTENT_FILTER CONTENT_POLICY_VIOLATION MODERATION_BLOCKED RESPONSIBLEAIPOLICYVIOLATION "
        "IMAGE_CONTENT_POLICY_VIOLATION CYBER_POLICY BIO_POLICY",
    ),
    rule(
        _E.CONTENT_FILTERED,
        _REPHRASE,
        "The provider's content filter refused the request",
        text=r"content (?:management|safety|usage)? ?policy|safety system|flagged as potentially|content filter",
    ),
    # The history that was sent.
    rule(
        _E.INVALID_ARGUMENT,
        _NO_REASONING,
        _UNREADABLE,
        reason=Reason.REASONING_UNREADABLE,
        codes="INVALID_ENCRYPTED_CONTENT",
    ),
    rule(
        _E.INVALID_ARGUMENT,
        _NO_REASONING,
        _UNREADABLE,
        reason=Reason.REASONING_UNREADABLE,
        text=r"invalid_encrypted_content|encrypted content.{0,80}(?:verified|decrypted|invalid)",
    ),
    rule(
        _E.INVALID_ARGUMENT,
        "Hand back one output for every pending call, with its call_id.",
        "A tool call of the conversation has no output",
        text=r"no tool (?:output|call) found",
    ),
    # Missing objects other than the model.
    rule(
        _E.INVALID_ARGUMENT,
        _CONTINUE,
        "The endpoint has no such earlier response",
        codes="PREVIOUS_RESPONSE_NOT_FOUND",
        reason=Reason.OBJECT_UNKNOWN,
    ),
    rule(
        _E.INVALID_ARGUMENT,
        _CONTINUE,
        "The endpoint has no such earlier response",
        text=rf"previous[ _]response\b.{{0,160}}{_IS_MISSING}",
        reason=Reason.OBJECT_UNKNOWN,
    ),
    rule(
        _E.INVALID_ARGUMENT,
        "Correct the id or the name that the message shows, or leave it out.",
        "Something that the request names does not exist",
        text=rf"(?<![\w-]){_OBJECTS}(?![\w-])[^.;\n]{{0,160}}{_IS_MISSING}",
        reason=Reason.OBJECT_UNKNOWN,
    ),
    # Parameters.
    rule(
        _E.UNSUPPORTED_BY_MODEL,
        "Leave out what the message names: an agent accepts only the fields of the schema that it was saved with. "
        "If MLflow made the schema, only the type of function tools is accepted; such an agent has its own tools.",
        "The agent {model} does not accept that",
        text=r"not defined in the schema",
    ),
    rule(
        _E.UNSUPPORTED_BY_MODEL,
        "Pay-per-token endpoints store nothing and run nothing in the background. The bridge stores conversations "
        "itself; an external-model endpoint (OpenAI, Azure OpenAI) accepts the parameter.",
        "The endpoint does not accept {param}",
        advice=(Advice(Action.LEAVE_OUT, "{param}"),),
        text=_UNSUPPORTED,
        params=("background", "store", "previous_response_id", "conversation"),
    ),
    rule(
        _E.UNSUPPORTED_BY_MODEL,
        "Only models with priority pay-per-token accept it.",
        "The endpoint does not accept {param}",
        advice=(Advice(Action.LEAVE_OUT, "service_tier"),),
        text=_UNSUPPORTED + r"|invalid",
        params=("service_tier",),
        reason=Reason.FEATURE_MISSING,
        feature=Feature.SERVICE_TIER,
    ),
    rule(
        _E.INVALID_ARGUMENT,
        "Use one of the efforts that the message names, or leave the effort out.",
        "The model {model} does not accept that reasoning effort",
        text=_UNSUPPORTED + r"|invalid|supported values",
        params=("reasoning.effort", "reasoning_effort", "effort"),
    ),
    rule(
        _E.UNSUPPORTED_BY_MODEL,
        "Reasoning models such as the GPT-5 series do not accept it.",
        "The model {model} does not accept {param}",
        advice=(Advice(Action.LEAVE_OUT, "{param}"),),
        text=_UNSUPPORTED + r"|only the default",
        params=("temperature", "top_p", "top_logprobs", "presence_penalty", "frequency_penalty"),
    ),
    *(
        rule(
            _E.UNSUPPORTED_BY_MODEL,
            f"Use a model that accepts {medium}, such as a Gemini model of the workspace.",
            f"The model {{model}} does not accept {medium}",
            advice=(Action.LIST_MODELS,),
            text=rf"{medium}_url.{{0,60}}(?:{_UNSUPPORTED})|(?:invalid value|{_UNSUPPORTED}).{{0,60}}{medium}",
            reason=Reason.FEATURE_MISSING,
            feature=feature,
        )
        for medium, feature in (("audio", Feature.AUDIO), ("video", Feature.VIDEO))
    ),
    rule(
        _E.UNSUPPORTED_BY_MODEL,
        "Give its text instead, for instance of pdftotext in.pdf out.txt, or use an OpenAI model of the workspace.",
        "The model {model} does not accept this document",
        text=r"unsupported mime type|(?:invalid value|expected)\W.{0,20}input_file|"
        rf"(?:input_file|file_data|file_url)\b.{{0,80}}(?:{_UNSUPPORTED})|"
        r"(?:does(?: not|n't) support|no support for|unsupported).{0,30}(?:\bfiles?\b|documents?\b|pdfs?\b)|"
        r"(?:file|document|pdf) (?:input|content|part)s? (?:is|are) not supported",
        reason=Reason.FEATURE_MISSING,
        feature=Feature.FILES,
    ),
    rule(
        _E.UNSUPPORTED_BY_MODEL,
        "Leave the images out, or use a model that accepts them.",
        "The model {model} does not accept images",
        text=r"(?:does(?: not|n't) support|no support for|unsupported).{0,30}(?:image|vision|multi-?modal)|"
        r"(?:image|vision) (?:input|content)s? (?:is|are) not supported|is not a (?:multi-?modal|vision)|"
        r"at most 0 images?|image_url is only supported by|missing data required for image input",
        reason=Reason.FEATURE_MISSING,
        feature=Feature.IMAGES,
    ),
    rule(
        _E.UNSUPPORTED_BY_MODEL,
        "Pay-per-token endpoints accept the tools function, custom (GPT-5 series only), apply_patch, shell, "
        "image_generation, mcp and web_search; leave others out or choose another model.",
        "The model {model} does not accept that tool",
        text=rf"(?<![\w-])(?:tool|custom tools?|hosted tool)\b.{{0,80}}(?:{_UNSUPPORTED})|tools?\[\d+\]\.type|"
        rf"{_TOOLS}.{{0,60}}(?:{_UNSUPPORTED})",
        reason=Reason.FEATURE_MISSING,
    ),
    rule(
        _E.INVALID_ARGUMENT,
        "At least 16 are needed.",
        "max_output_tokens is too small for the model {model}",
        advice=(Advice(Action.RAISE, "max_output_tokens"),),
        text=r"below minimum|minimum value|greater than or equal|at least 16",
        params=("max_output_tokens", "max_tokens", "max_completion_tokens"),
    ),
    rule(
        _E.INVALID_ARGUMENT,
        "Leave out the parameter that the message names, or correct its spelling.",
        "The endpoint does not know a parameter of the request",
        text=r"extra inputs are not permitted|unknown parameter|unrecognized (?:request )?(?:argument|field)|"
        r"unknown field|unexpected keyword",
    ),
    # Budgets.
    rule(
        _E.BUDGET_EXCEEDED,
        "Ask the owner of the endpoint to raise its quota; waiting does not help.",
        "The endpoint's quota is used up",
        codes="INSUFFICIENT_QUOTA BILLING_HARD_LIMIT_REACHED",
    ),
    rule(
        _E.RATE_LIMITED,
        "Wait. Output tokens are reserved in advance, so a smaller maximum fits sooner.",
        "The endpoint's limit of output tokens per minute is reached",
        advice=(Advice(Action.LOWER, "max_output_tokens"),),
        status=429,
        text=r"OTPM|output[ _]tokens?[ _]per[ _]minute",
        retryable=True,
    ),
    rule(
        _E.RATE_LIMITED,
        "Wait, or send a shorter prompt.",
        "The endpoint's limit of input tokens per minute is reached",
        status=429,
        text=r"ITPM|input[ _]tokens?[ _]per[ _]minute",
        retryable=True,
    ),
    rule(
        _E.RATE_LIMITED,
        "Wait; the hourly limit of the workspace counts every request, or use another endpoint.",
        "The endpoint's limit of requests per hour is reached",
        status=429,
        text=r"\bQPH\b|(?:queries|requests)[ _]per[ _]hour",
        retryable=True,
    ),
    rule(
        _E.RATE_LIMITED,
        "Wait and ask again, or use another endpoint.",
        "The endpoint's rate limit is reached",
        status=429,
        retryable=True,
    ),
    rule(
        _E.RATE_LIMITED,
        "Wait and ask again, or use another endpoint.",
        "The endpoint's rate limit is reached",
        codes="RATE_LIMIT_EXCEEDED RATE_LIMIT_ERROR REQUEST_LIMIT_EXCEEDED RESOURCE_EXHAUSTED TOO_MANY_REQUESTS",
        retryable=True,
    ),
    # Existence, permission and availability.
    rule(
        _E.MODEL_NOT_FOUND,
        "",
        "The workspace has no serving endpoint {model}",
        advice=(Action.LIST_MODELS,),
        codes="ENDPOINT_NOT_FOUND RESOURCE_DOES_NOT_EXIST MODEL_NOT_FOUND NOT_FOUND",
    ),
    rule(
        _E.MODEL_NOT_FOUND,
        "",
        "The workspace has no serving endpoint {model}",
        advice=(Action.LIST_MODELS,),
        text=r"(?:endpoint|model)\b.{0,120}(?:does not exist|not found|doesn't exist)",
    ),
    rule(
        _E.MODEL_NOT_FOUND,
        "",
        "The workspace has no model {model}",
        advice=(Action.LIST_MODELS,),
        status=404,
        text=r"system\.ai\.",
    ),
    rule(
        _E.PERMISSION_DENIED,
        "Ask the endpoint's owner for the permission CAN QUERY on {model}.",
        "You may not use the serving endpoint {model}",
        text=r"CAN[_ ]QUERY|insufficient permissions?|does not have .{0,60}permission|not authorized",
    ),
    rule(
        _E.PERMISSION_DENIED,
        _ASK_ACCESS,
        "The workspace does not allow it",
        advice=(Action.RUN_DOCTOR,),
        codes="PERMISSION_DENIED FORBIDDEN",
    ),
    rule(
        _E.UNAUTHENTICATED,
        SIGN_IN,
        "The workspace did not accept the credentials",
        advice=SIGN_IN_AGAIN,
        codes="UNAUTHENTICATED INVALID_API_KEY AUTHENTICATION_ERROR",
    ),
    rule(
        _E.UPSTREAM_UNAVAILABLE,
        "Ask again in a minute: an endpoint that scaled to zero takes that long to start.",
        "The serving endpoint {model} is not ready",
        text=r"(?:endpoint|model|deployment)\b.{0,80}(?:not ready|not yet ready|is starting|scal(?:ed|ing))",
        retryable=True,
    ),
    rule(
        _E.INVALID_ARGUMENT,
        "Use an undamaged image in PNG, JPEG, WebP or non-animated GIF, and not too large.",
        "The model could not read an image",
        codes="INVALID_IMAGE INVALID_IMAGE_FORMAT INVALID_BASE64_IMAGE INVALID_IMAGE_URL IMAGE_TOO_LARGE "
        "IMAGE_TOO_SMALL IMAGE_PARSE_ERROR INVALID_IMAGE_MODE IMAGE_FILE_TOO_LARGE UNSUPPORTED_IMAGE_MEDIA_TYPE "
        "EMPTY_IMAGE_FILE FAILED_TO_DOWNLOAD_IMAGE IMAGE_FILE_NOT_FOUND",
    ),
    # Only the status or kind.
    rule(
        _E.UNAUTHENTICATED,
        SIGN_IN,
        "The workspace did not accept the credentials",
        advice=SIGN_IN_AGAIN,
        status=401,
    ),
    rule(
        _E.PERMISSION_DENIED,
        _ASK_ACCESS,
        "The workspace does not allow it",
        advice=(Action.RUN_DOCTOR,),
        status=403,
    ),
    rule(
        _E.MODEL_NOT_FOUND,
        "If no model can be listed either, DATABRICKS_HOST or RESPONSES_MCP_RESPONSES_PATH is wrong.",
        "The workspace found neither the path nor the model {model}",
        advice=(Action.LIST_MODELS,),
        status=404,
    ),
    rule(
        _E.NOT_CONFIGURED,
        "The feature is off in this workspace or region: set RESPONSES_MCP_SURFACE to auto, or, for a name that has "
        "moved to the catalog, name the model system.ai.<model>.",
        "The workspace does not offer the configured API",
        status=501,
    ),
    rule(
        _E.UPSTREAM_UNAVAILABLE,
        "Ask again in a moment.",
        "The workspace is not available at the moment",
        status=(408, 502, 503),
        retryable=True,
    ),
    rule(
        _E.UPSTREAM_UNAVAILABLE,
        "Ask again in a moment.",
        "The workspace is not available at the moment",
        codes="TEMPORARILY_UNAVAILABLE UNAVAILABLE OVERLOADED_ERROR SERVICE_UNAVAILABLE ENGINE_OVERLOADED",
        retryable=True,
    ),
    rule(
        _E.UPSTREAM_UNAVAILABLE,
        "Ask for less at once (a lower reasoning effort, a shorter answer): model serving stops a request after 297 s.",
        "The model did not answer in the time that model serving allows",
        status=504,
        retryable=True,
    ),
    rule(
        _E.INVALID_ARGUMENT,
        _CORRECT,
        "The workspace refused the request",
        status=(400, 405, 406, 409, 411, 414, 415, 422, 431),
    ),
    rule(
        _E.INVALID_ARGUMENT,
        _CORRECT,
        "The workspace refused the request",
        codes="INVALID_PARAMETER_VALUE BAD_REQUEST INVALID_REQUEST_ERROR INVALID_PROMPT INVALID_ARGUMENT "
        "MALFORMED_REQUEST",
    ),
    rule(
        _E.UPSTREAM_ERROR,
        "Ask again; if it happens every time, the model may not be served on this path.",
        "The workspace failed inside",
        advice=(Action.LIST_MODELS,),
        status=(500,),
        retryable=True,
    ),
    rule(
        _E.UPSTREAM_ERROR,
        "Ask again.",
        "The model failed while it answered",
        codes="SERVER_ERROR INTERNAL_ERROR INTERNAL_SERVER_ERROR API_ERROR",
        retryable=True,
    ),
    rule(
        _E.UPSTREAM_ERROR,
        "Check that DATABRICKS_HOST is the workspace's own address.",
        "{host} answered with something that is not the API's answer",
        advice=(Action.RUN_DOCTOR,),
        status=(200, 201, 202, 203, 204),
    ),
)
"""The table; the first row that matches counts."""


def find_rule(status: int | None, body: ErrorBody, text: str) -> Rule | None:
    """Return the first row that matches the error; ``text`` is its cleaned message."""
    return next((row for row in RULES if row.fits(status, body, text)), None)


_REASONS: tuple[tuple[str, Reason], ...] = (
    (
        (
            r"api[_ ]type|not supported for provider|path must be|no such path|unsupported (?:path|surface|route)|"
            r"endpoint_not_found|resource_does_not_exist"
        ),
        Reason.SURFACE_MISMATCH,
    ),
    (r"max_(?:output_|completion_)?tokens", Reason.OUTPUT_CAP_REFUSED),
    (r"encrypted", Reason.ENCRYPTED_REASONING_REFUSED),
    (r"\binclude\b", Reason.INCLUDE_REFUSED),
    (r"schema|response_format|text\.format|\bstrict\b", Reason.STRICT_REFUSED),
    (r"does not exist|not found", Reason.NAME_UNKNOWN),
    (r"internal_error", Reason.MODEL_FAILED),
    (
        r"invalid_parameter_value|not supported|unsupported|unknown (?:field|parameter)|extra inputs|unrecognized",
        Reason.PARAMETER_REFUSED,
    ),
)
"""Conditions on the codes, the parameter and the text of an error; the first that matches counts."""

_FEATURES: tuple[tuple[str, Feature], ...] = (
    (r"web_search(?:_preview)?", Feature.WEB_SEARCH),
    (r"image_generation", Feature.IMAGE_GENERATION),
    (r"apply_patch", Feature.APPLY_PATCH),
    (r"shell", Feature.SHELL),
    (r"mcp", Feature.MCP),
    (r"custom", Feature.CUSTOM_TOOLS),
)


def find_reason(row: Rule, body: ErrorBody, text: str) -> tuple[Reason | None, Feature | None]:
    """Return what exactly failed, and which feature is missing, if that is the reason.

    Args:
        row: the row that matches the error.
        text: the cleaned message, without the name of the model.
    """
    if row.reason is not None:
        return row.reason, row.feature or (_named_feature(text) if row.reason is Reason.FEATURE_MISSING else None)
    marks = " ".join([*sorted(body.codes), body.param or "", text])
    return next((reason for mark, reason in _REASONS if re.search(mark, marks, re.IGNORECASE)), None), None


def _named_feature(text: str) -> Feature | None:
    names = ((rf"(?<![\w-]){name}(?![\w-])", feature) for name, feature in _FEATURES)
    return next((feature for name, feature in names if re.search(name, text, re.IGNORECASE)), None)


OTHER_STATUS = rule(
    _E.UPSTREAM_ERROR, "Ask again.", "The workspace failed", retryable=True, advice=(Action.RUN_DOCTOR,)
)
"""For a status that no row matches."""

OTHER_EVENT = rule(_E.UPSTREAM_ERROR, "Ask again.", "The model stopped with an error", retryable=True)
"""For an error in a stream that no row matches."""
