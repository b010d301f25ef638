"""The state that calls share while a server runs."""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from anyio import CapacityLimiter
from anyio.abc import TaskGroup
from mcp.server.context import ServerRequestContext
from mcp.server.mcpserver import Context

from databricks_responses_mcp.calls.edit_previews import EditPreviews
from databricks_responses_mcp.calls.long_texts import LongTexts
from databricks_responses_mcp.calls.memory_limit import MemoryLimit
from databricks_responses_mcp.hosts.limits import HostLimits, find_limits
from databricks_responses_mcp.turns.bridge import Bridge
from databricks_responses_mcp.turns.progress import Reporter
from databricks_responses_mcp.workspace.secret_values import SecretValues
from databricks_responses_mcp.workspace.settings import Settings

if TYPE_CHECKING:
    from starlette.requests import Request

    from databricks_responses_mcp.calls.approvals import UnansweredCalls
    from databricks_responses_mcp.calls.call_log import AuditLog, User
    from databricks_responses_mcp.calls.jobs import Jobs
    from databricks_responses_mcp.calls.pictures import Pictures
    from databricks_responses_mcp.calls.running_task import RunningTask
    from databricks_responses_mcp.calls.volume_pictures import VolumePictures
    from databricks_responses_mcp.media.gallery import PictureGallery
    from databricks_responses_mcp.media.write_journal import WriteJournal

_UNSAVED_BYTES = 128_000_000


class UnsavedPictures:
    """Images that could not be saved. They were paid for, so they stay in memory until newer ones need the space.

    Args:
        limit: the limit of all users together; None for a server of one user.
    """

    def __init__(self, limit: MemoryLimit | None = None) -> None:
        self._pictures: OrderedDict[str, bytes] = OrderedDict()
        self._bytes = 0
        self._limit = limit
        if limit is not None:
            limit.add(self)

    @property
    def held(self) -> int:
        """The number of bytes in memory."""
        return self._bytes

    def keep(self, name: str, data: bytes) -> str:
        """Store ``data`` in memory; return its URI."""
        self._bytes += len(data) - len(self._pictures.pop(name, b""))
        self._pictures[name] = data
        while self._bytes > _UNSAVED_BYTES and len(self._pictures) > 1:
            self.drop_oldest()
        if self._limit is not None:
            self._limit.enforce()
        return f"image://{name}"

    def drop_oldest(self) -> bool:
        """See `Holder.drop_oldest`."""
        if not self._pictures:
            return False
        self._bytes -= len(self._pictures.popitem(last=False)[1])
        return True

    def get(self, name: str) -> bytes | None:
        """Return the bytes by the last part of their URI; None if they are not in memory."""
        return self._pictures.get(name)


class AppSource(Protocol):
    """The lifespan context of a server: finds the `App` that a request uses."""

    def app_for(self, request: "Request | None") -> "App":
        """Return the `App` of the request's user.

        Args:
            request: the HTTP request; None over stdio.
        """

    def listed_tools(self, names: Iterable[str], request: "Request | None") -> frozenset[str]:
        """Return those of the server's tools that the request's user can use. Needs no `App`.

        Args:
            names: of all tools.
            request: the HTTP request; None over stdio.
        """

    def run_in(self, tasks: TaskGroup) -> None:
        """Run background work in this task group, which ends with the server."""

    def recover_writes(self) -> None:
        """Undo the writes to users' files that a killed server has left unfinished. Blocks: call it in a thread."""

    async def sweep(self) -> None:
        """Delete rows beyond the limits of the store."""

    def hand_over(self) -> None:
        """Answer each request that waits for a call with the call's id, because the server will end."""

    async def idle(self) -> None:
        """Wait until no call runs."""


@dataclass(frozen=True, slots=True)
class UserFiles:
    """The places where one user of a service may have files. Callers have no access to other files of the machine.

    Attributes:
        folder: local files are read and written there alone; None for no local files. Created at the first use.
        volume_folder: a folder in a Unity Catalog volume where the user's pictures are, ``/Volumes/…``; None if they
            are in the settings' ``image_dir``, which is the user's own.
    """

    folder: Path | None = None
    volume_folder: str | None = None


@dataclass
class App:
    """The state that the calls of one user share. A server over stdio has one, as its lifespan context.

    Attributes:
        bridge: the workspace.
        long_texts: whole answers that were cut for the host.
        unsaved: images that could not be saved.
        previews: edits that were shown but not written.
        thumbnails: limits thumbnails to one at a time, because each may take the memory of a whole picture.
        files: where the user of a service may have files; None where the server is its user's own.
        running_tasks: the calls that are, or may become, MCP tasks, by the id of their job.
        background: runs background work until the server ends; None outside a server.
        user: the signed-in user; None without sign-in.
        audit: the audit log of calls; None for no audit log.
    """

    bridge: Bridge
    long_texts: LongTexts = field(default_factory=LongTexts)
    unsaved: UnsavedPictures = field(default_factory=UnsavedPictures)
    previews: EditPreviews = field(default_factory=EditPreviews)
    thumbnails: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(1))
    files: UserFiles | None = None
    running_tasks: "dict[str, RunningTask]" = field(default_factory=dict)
    background: TaskGroup | None = None
    user: "User | None" = None
    audit: "AuditLog | None" = None
    _gallery: "PictureGallery | None" = None
    _pictures: "Pictures | None" = None
    _jobs: "Jobs | None" = None
    _unanswered: "UnansweredCalls | None" = None

    def app_for(self, request: "Request | None") -> "App":
        """See `AppSource.app_for`: every request of this server uses the same."""
        return self

    def listed_tools(self, names: Iterable[str], request: "Request | None") -> frozenset[str]:
        """See `AppSource.listed_tools`."""
        policy = self.bridge.policy
        return frozenset(name for name in names if policy is None or policy.allows_tool(name))

    def run_in(self, tasks: TaskGroup) -> None:
        """See `AppSource.run_in`."""
        self.background = self.bridge.background = tasks

    def recover_writes(self) -> None:
        """See `AppSource.recover_writes`."""
        self.write_journal.recover()

    async def sweep(self) -> None:
        """See `AppSource.sweep`."""
        # Imported here: the store is not in use before the first call.
        from databricks_responses_mcp.turns.retention import sweep_store

        await sweep_store(self.bridge.store, self.bridge.settings)

    def hand_over(self) -> None:
        """See `AppSource.hand_over`."""
        if self._jobs is not None:
            self._jobs.hand_over()

    async def idle(self) -> None:
        """See `AppSource.idle`."""
        if self._jobs is not None:
            await self._jobs.idle()

    @property
    def write_journal(self) -> "WriteJournal":
        """The journal of unfinished writes to the user's files."""
        return write_journal_of(self.bridge.settings)

    @property
    def jobs(self) -> "Jobs":
        """The calls that may outlive their request. Created at the first use."""
        if self._jobs is None:
            from databricks_responses_mcp.calls.jobs import Jobs

            assert self.background is not None
            self._jobs = Jobs(lambda: self.bridge.store, self.background)
        return self._jobs

    @property
    def unanswered(self) -> "UnansweredCalls":
        """The calls that wait for their host to call again with its user's answers."""
        if self._unanswered is None:
            from databricks_responses_mcp.calls.approvals import UnansweredCalls

            self._unanswered = UnansweredCalls()
        return self._unanswered

    @property
    def gallery(self) -> "PictureGallery":
        """The pictures on this machine that can be read as resources."""
        if self._gallery is None:
            from databricks_responses_mcp.media.gallery import PictureGallery

            self._gallery = PictureGallery(self.bridge.settings.image_dir)
        return self._gallery

    @property
    def pictures(self) -> "Pictures":
        """The pictures of the user."""
        if self._pictures is None:
            from databricks_responses_mcp.calls.pictures import Pictures

            self._pictures = Pictures(self, self._volume_pictures())
        return self._pictures

    def _volume_pictures(self) -> "VolumePictures | None":
        folder = None if self.files is None else self.files.volume_folder
        if folder is None:
            return None
        from databricks_responses_mcp.calls.volume_pictures import VolumePictures
        from databricks_responses_mcp.workspace.volume_files import VolumeFiles

        return VolumePictures(VolumeFiles(lambda: self.bridge.client, folder))


def app_of(ctx: Context[AppSource]) -> App:
    """Return the `App` of the request's user."""
    return app_in(ctx.request_context)


def app_in(ctx: ServerRequestContext[AppSource, Any]) -> App:
    """Return the `App` of the request's user."""
    return ctx.lifespan_context.app_for(ctx.request)


def host_of(ctx: ServerRequestContext[AppSource, Any]) -> HostLimits:
    """Return the limits of the host that sent a request.

    Without a session, an older client does not send its name in each request. Its User-Agent may contain the name, as
    in Claude Code.
    """
    client = ctx.session.client_params
    if client is not None:
        return find_limits(client.client_info.name)
    agent = ctx.request.headers.get("user-agent", "") if ctx.request is not None else ""
    return find_limits(agent.partition("/")[0])


def reporter_of(ctx: ServerRequestContext[AppSource, Any], secrets: SecretValues) -> Reporter | None:
    """Return a reporter that sends progress to the call's host; None if the host requested no progress.

    Args:
        secrets: removed from the messages.
    """
    meta = ctx.meta
    if meta is None or meta.get("progress_token") is None:
        return None

    async def report(value: float, message: str) -> None:
        await ctx.session.report_progress(value, None, secrets.remove(message))

    return Reporter(report)


def write_journal_of(settings: Settings) -> "WriteJournal":
    """Return the journal of writes to the user's files, which is in the directory of the store."""
    from databricks_responses_mcp.media.write_journal import WriteJournal
    from databricks_responses_mcp.store.factory import local_directory

    store = settings.store
    return WriteJournal(local_directory(None if store is None else store.get_secret_value()) / "writes")
