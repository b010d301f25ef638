"""The doctor's checks, in order: each needs some of the earlier ones, and reports what it found or what to fix."""

import os
import platform
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from importlib.metadata import version
from pathlib import Path

import anyio.to_thread

from databricks_responses_mcp import __version__
from databricks_responses_mcp.cli.advice import doctor_words
from databricks_responses_mcp.cli.errors import first_of
from databricks_responses_mcp.cli.findings import Finding, NotApplicableError
from databricks_responses_mcp.cli.host_checks import examine_hosts
from databricks_responses_mcp.cli.network import configured_host, examine_folder, examine_profile, reach
from databricks_responses_mcp.cli.options import SessionOptions
from databricks_responses_mcp.cli.policy_checks import examine_policy
from databricks_responses_mcp.cli.session import (
    open_session,
    open_workspace,
    replaced_by_profile,
    settings_for_terminal,
)
from databricks_responses_mcp.errors import BridgeError, ErrorCode, Reason
from databricks_responses_mcp.hosts.machine import Machine
from databricks_responses_mcp.responses.request import Prompt, build_request
from databricks_responses_mcp.service.settings import ServiceSettings, load_service_settings
from databricks_responses_mcp.spelling import similar_names
from databricks_responses_mcp.store.interface import StoreError
from databricks_responses_mcp.turns.bridge import Bridge
from databricks_responses_mcp.turns.call_context import CallContext
from databricks_responses_mcp.turns.pipeline import send_metered
from databricks_responses_mcp.workspace.catalog import catalog_name_of
from databricks_responses_mcp.workspace.host import normalise_host
from databricks_responses_mcp.workspace.profiles import host_of_profile
from databricks_responses_mcp.workspace.redaction import redact
from databricks_responses_mcp.workspace.settings import SERVICE_PREFIX, Settings, settings_help

_MAX_SECONDS = 120.0
_SMALLEST_ANSWER = 16
"""In tokens. The Responses API refuses a smaller maximum."""

_NO_JOB = "job_of_the_doctor"
_DEFAULT_PATH = "/serving-endpoints/responses"
_MISSING_ADVICE = "Choose one that `databricks-responses-mcp models` names, and set RESPONSES_MCP_MODEL (or --model)."

Report = Callable[[Finding], Awaitable[None]]
Check = Callable[[], Awaitable[str]]


class Examination:
    """One run of all checks.

    Args:
        options: how the workspace is reached.
        report: receives each finding immediately.
        call: whether to send the request that costs a few tokens.
        user: whose rules of a service's policy are shown; None shows those of all users, if there is a policy.
    """

    def __init__(self, options: SessionOptions, report: Report, *, call: bool = True, user: str | None = None) -> None:
        self._options = options
        self._report = report
        self._call = call
        self._user = user
        self._replaced: dict[str, str] = {}
        self._settings: Settings | None = None
        self._service: ServiceSettings | None = None
        self._bridge: Bridge | None = None
        self._origin = ""
        self._listing_error: BridgeError | None = None
        self._model = ""
        self._blocked: set[str] = set()
        self._reported: set[str] = set()
        self.failure: ErrorCode | None = None
        """The code of the first check that failed."""

    async def run(self) -> None:
        """Run all checks."""
        await self._check("versions", self._versions)
        await self._check("settings", self._read_settings)
        is_service = any(name.startswith(SERVICE_PREFIX) for name in os.environ)
        if self._user is not None or is_service:
            await self._check("policy", lambda: examine_policy(os.environ, self._options.secrets, self._user))
        if is_service:
            await self._check("service", self._look_at_service, "settings")
        if self._settings is not None:
            # A rate limit or an outage is a finding, and must not be waited for.
            settings = self._settings.model_copy(update={"max_retries": 0})
            try:
                async with self._opened(settings) as bridge:
                    self._bridge = bridge
                    await self._look_at_workspace()
            except Exception as raised:
                error = first_of(raised)
                if not isinstance(error, BridgeError) or "host" in self._reported:
                    raise
                await self._check("host", _raising(error))  # the embedded workspace could not be started
        if "host" not in self._reported or "network" not in self._reported:
            await self._look_at_workspace()
        await self._look_at_hosts()

    @asynccontextmanager
    async def _opened(self, settings: Settings) -> AsyncIterator[Bridge]:
        """Yield the workspace: for a service as the service itself reaches it, with the store of its users."""
        if self._service is None:
            async with open_session(settings, self._options, start_engine=True) as bridge:
                yield bridge
            return
        from databricks_responses_mcp.cli.serve_team import open_own

        async with (
            open_workspace(settings, self._options, start_engine=True) as workspace,
            open_own(workspace, self._service) as bridge,
        ):
            yield bridge

    async def _look_at_hosts(self) -> None:
        for finding in await examine_hosts(Machine.this(), Path.cwd()):
            self.failure = self.failure or finding.code
            await self._tell(finding)

    async def _look_at_workspace(self) -> None:
        await self._check("host", self._find_host, "settings")
        await self._check("network", lambda: reach(self._origin), "host")
        await self._check("sign-in", self._sign_in, "host", "network")
        await self._check("endpoints", self._list_endpoints, "sign-in")
        if self._listing_error is not None and self._listing_error.code is ErrorCode.PERMISSION_DENIED:
            # The user may still be allowed to query an endpoint.
            self._blocked.discard("endpoints")
        await self._check("model", self._find_model, "endpoints")
        await self._check("image model", self._find_image_model, "endpoints")
        # Without the service's settings nothing says where its store is.
        needed = () if self._service is not None else ("service",)
        if self._service is not None or (self._settings is not None and self._settings.store is not None):
            await self._check("store", self._write_store, "settings", *needed)
        await self._check("call", self._ask, "sign-in", "model", *needed)
        await self._check("pictures", self._find_folder, "settings")

    async def _check(self, name: str, look: Check, *needs: str) -> None:
        if name in self._reported:
            return
        blocking = next((need for need in needs if need in self._blocked), None)
        if blocking is not None:
            self._blocked.add(name)
            await self._tell(Finding(name, "skipped", f"not looked at: it needs {blocking}"))
            return
        try:
            await self._tell(Finding(name, "ok", await look()))
        except NotApplicableError as reason:
            await self._tell(Finding(name, "skipped", str(reason)))
        except BridgeError as error:
            self._blocked.add(name)
            self.failure = self.failure or error.code
            wait = error.retry_after_seconds
            hint = error.full_hint(doctor_words)
            hint = hint if wait is None else f"{hint} Retry after {wait:g} s."
            await self._tell(Finding(name, "failed", error.message, hint, error.code))

    async def _tell(self, finding: Finding) -> None:
        self._reported.add(finding.name)
        detail, hint = (self._options.secrets.remove(redact(text)) for text in (finding.detail, finding.hint))
        await self._report(Finding(finding.name, finding.status, detail, hint, finding.code))

    # The checks.

    async def _versions(self) -> str:
        system = f"{platform.system()} {platform.machine()}"
        return f"{__version__} on Python {platform.python_version()}, mcp {version('mcp')}, {system}"

    async def _read_settings(self) -> str:
        self._replaced = replaced_by_profile(self._options, os.environ)
        self._settings = settings = settings_for_terminal(self._options)
        names = {doc.env.removeprefix("RESPONSES_MCP_").lower(): doc.env for doc in settings_help()}
        given = [names.get(name.removesuffix("_setting"), name) for name in settings.model_fields_set]
        given = [name for name in given if name.startswith("RESPONSES_MCP_")]
        return f"valid; set are {', '.join(sorted(given))}" if given else "valid, all defaults"

    async def _look_at_service(self) -> str:
        # Imported here: it imports a web server.
        from databricks_responses_mcp.cli.service_checks import check_store_settings, examine_service

        assert self._settings is not None
        service = load_service_settings(os.environ, secrets=self._options.secrets)
        await check_store_settings(self._settings, service, os.environ)
        self._service = service
        return await examine_service(self._settings, service, os.environ)

    async def _write_store(self) -> str:
        bridge = self._of_bridge()
        try:
            # It changes nothing, as no job has this id; a store that cannot be written refuses it.
            await bridge.store.beat_job(_NO_JOB, time.time(), None)
        except StoreError as error:
            raise BridgeError(
                ErrorCode.NOT_CONFIGURED, f"The store cannot be written: {error}", "Until then nothing is stored."
            ) from error
        return "can be written" if bridge.settings.store is not None else "a file of this machine; can be written"

    async def _find_host(self) -> str:
        assert self._bridge is not None
        option = bool(self._options.overrides.get("host"))
        raw, source = await anyio.to_thread.run_sync(partial(configured_host, self._bridge.settings, option=option))
        if self._options.embedded:
            source = "the embedded workspace"
        if raw is None:
            raise NotApplicableError(source)
        profile = None if self._bridge.settings.host else self._bridge.settings.profile or "DEFAULT"
        host = normalise_host(raw) if profile is None else host_of_profile(profile, raw)
        self._origin = host.origin
        settings = self._bridge.settings
        if settings.profile:
            await anyio.to_thread.run_sync(partial(examine_profile, settings, host.origin))
        written = "" if raw.strip() == host.origin else f", which is how {raw.strip()[:120]!r} is understood"
        workspace = f", workspace {host.workspace_id}" if host.workspace_id else ""
        return f"{host.origin}{workspace} from {source}{written}{self._set_aside()}"

    def _set_aside(self) -> str:
        """Return the environment variables that ``--profile`` replaces, if they name another workspace."""
        other = self._replaced.get("DATABRICKS_HOST", "")
        if not other or other.strip().rstrip("/") == self._origin:
            return ""
        return f"; --profile replaces DATABRICKS_HOST, which is {other.strip()[:120]!r}"

    async def _sign_in(self) -> str:
        bridge = self._of_bridge()
        await bridge.credentials.headers()
        how = "its own token" if self._options.embedded else bridge.credentials.describe
        self._origin = self._origin or (await bridge.credentials.host()).origin
        try:
            await bridge.endpoints.list(refresh=True)
        except BridgeError as error:
            if error.code is ErrorCode.UNAUTHENTICATED:
                raise
            self._listing_error = error
            known = error.code is ErrorCode.PERMISSION_DENIED
            return f"{how}; accepted" if known else f"{how}; not yet shown to work"
        return f"{how}; accepted"

    async def _list_endpoints(self) -> str:
        error = self._listing_error
        if error is not None:
            if error.reason is not Reason.NO_LISTING:
                raise error
            settings = self._of_bridge().settings
            if settings.responses_path != _DEFAULT_PATH:
                raise NotApplicableError(
                    f"{self._origin} has none (HTTP {error.status}): it is not a Databricks workspace"
                )
            raise BridgeError(
                ErrorCode.NOT_CONFIGURED,
                f"{self._origin} answers, but not as a Databricks workspace does (HTTP {error.status}).",
                "Set DATABRICKS_HOST to the address in the browser's bar when the workspace is open. If it is another "
                "server of the Responses API, set RESPONSES_MCP_MODEL (or --model) and RESPONSES_MCP_RESPONSES_PATH.",
            ) from error
        endpoints = await self._of_bridge().endpoints.list()
        able = sum(endpoint.profile.is_askable for endpoint in endpoints)
        return f"{len(endpoints)} may be listed, {able} of them answer with text"

    async def _find_model(self) -> str:
        bridge = self._of_bridge()
        chosen = bridge.settings.model
        self._model = chosen or await bridge.endpoints.default_text_model()
        return await self._judge(self._model, chosen="RESPONSES_MCP_MODEL" if chosen else "")

    async def _find_image_model(self) -> str:
        bridge = self._of_bridge()
        chosen = bridge.settings.image_model
        if not chosen and self._cannot_list():
            raise NotApplicableError(f"none is set, and {self._no_list()}: each image needs a `model`")
        name = chosen or await bridge.endpoints.default_image_model()
        found = await self._judge(name, chosen="RESPONSES_MCP_IMAGE_MODEL" if chosen else "")
        endpoint = await bridge.endpoints.get(name)
        if endpoint is not None and "image_generation" in endpoint.profile.cannot:
            raise BridgeError(
                ErrorCode.UNSUPPORTED_BY_MODEL,
                f"{name} does not generate images: {endpoint.profile.reason}.",
                "Set RESPONSES_MCP_IMAGE_MODEL to one of `databricks-responses-mcp models --can image_generation`.",
            )
        return found

    async def _judge(self, name: str, *, chosen: str) -> str:
        """Check whether an endpoint exists, is ready and serves the API."""
        bridge = self._of_bridge()
        if self._cannot_list():
            raise NotApplicableError(f"{name}: {self._no_list()}, so the call will show it")
        endpoints = await bridge.endpoints.list()
        endpoint = await bridge.endpoints.get(name)
        source = f"from {chosen}" if chosen else "the default here"
        renamed = catalog_name_of(name)
        if endpoint is None and renamed is not None and await bridge.endpoints.get(renamed) is not None:
            return f"{name}, {source}, is {renamed} in Unity Catalog: use that name, which goes through the gateway"
        if endpoint is None:
            if bridge.settings.responses_path != _DEFAULT_PATH:
                raise NotApplicableError(
                    f"{name}, {source}: another path is configured, which names models its own way"
                )
            near = similar_names(name, [endpoint.name for endpoint in endpoints])
            raise BridgeError(
                ErrorCode.MODEL_NOT_FOUND,
                f"There is no endpoint {name} ({source}), or you may not see it.",
                (f"Did you mean {near[0]}? " if near else "") + _MISSING_ADVICE,
            )
        if not endpoint.ready:
            raise BridgeError(
                ErrorCode.UPSTREAM_UNAVAILABLE,
                f"{name} ({source}) is {endpoint.state}.",
                "Wait until it is READY, or choose another one.",
            )
        if not endpoint.profile.is_askable and bridge.settings.responses_path == _DEFAULT_PATH:
            raise BridgeError(
                ErrorCode.UNSUPPORTED_BY_MODEL,
                f"{name} ({source}) answers with no text: {endpoint.profile.reason}.",
                _MISSING_ADVICE,
            )
        surface = endpoint.profile.surfaces[0]
        reached = "" if surface == "responses" else f", reached through the surface {surface}"
        return f"{name}, {source}, is {endpoint.state}{reached}"

    async def _ask(self) -> str:
        if not self._call:
            raise NotApplicableError("not made, as requested")
        bridge = self._of_bridge()
        # A separate request, not a turn: `ask --continue` would continue its conversation.
        items = Prompt(text="Reply with: OK").items()
        outcome = await send_metered(
            bridge,
            build_request(self._model, items, {"max_output_tokens": _SMALLEST_ANSWER}),
            CallContext.start(bridge.settings, "doctor", seconds=min(bridge.settings.timeout_seconds, _MAX_SECONDS)),
        )
        spent = (outcome.usage or {}).get("output_tokens")
        cost = f", {spent} tokens out" if spent is not None else ""
        return f"{outcome.model} answered{cost}"

    async def _find_folder(self) -> str:
        assert self._settings is not None
        return await anyio.to_thread.run_sync(examine_folder, self._settings.image_dir)

    def _cannot_list(self) -> bool:
        """Return whether a model can be queried although nothing could be listed."""
        error = self._listing_error
        return error is not None and (error.code is ErrorCode.PERMISSION_DENIED or error.reason is Reason.NO_LISTING)

    def _no_list(self) -> str:
        assert self._listing_error is not None
        is_missing = self._listing_error.reason is Reason.NO_LISTING
        return "this server lists no models" if is_missing else "endpoints may not be listed"

    def _of_bridge(self) -> Bridge:
        assert self._bridge is not None
        return self._bridge


def _raising(error: BridgeError) -> Check:
    async def check() -> str:
        raise error

    return check
