"""What is known of one host: where its file is, what stands in it, how it is noticed, what its user does next."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from databricks_responses_mcp.hosts.entry_formats import Beside, Shape
from databricks_responses_mcp.hosts.links import Link, MakeLink
from databricks_responses_mcp.hosts.machine import Machine
from databricks_responses_mcp.hosts.server_info import SERVER, Launch

Format = Literal["json", "toml", "yaml"]
Paths = Callable[[Machine], tuple[Path, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A host, as data.

    Attributes:
        key: its name on our command line.
        title: its name for people.
        user_files: where its user's servers may stand, the usual one first.
        project_file: where a project's servers stand, relative to the project; None if it has none of its own. Such
            a file is made to be committed: no secret belongs in it.
        format: of both files.
        within: the keys of the object, or list, that holds the servers.
        listed: whether that is a list of entries that say their names, not an object with a key for each.
        shape: the form of an entry.
        new_file: what a file starts with that is not there yet.
        refers: whether the host can fetch a variable's value itself, so that no file has to hold it.
        refers_to: where it fetches the value from: the environment of its own process, a question to its user, or a
            store of secrets that it keeps.
        asks: what a forwarded variable needs elsewhere in the file.
        signs: files or folders that are there if this user has used the host.
        apps: its programs' bundles, on macOS.
        commands: programs that are on the PATH if the host is.
        add_command: the host's own command that registers a server; "" if it has none.
        bare_path: whether it is started from the desktop, and so may have but few folders on its PATH, not those of
            the user's shell: then a command should be absolute.
        after: what its user does next, one sentence.
        after_project: the same for a project's file, where that is not all.
        makes_link: its one-click link; None if it has none.
    """

    key: str
    title: str
    user_files: Paths
    project_file: str | None = None
    format: Format = "json"
    within: tuple[str, ...] = ("mcpServers",)
    listed: bool = False
    shape: Shape
    new_file: str = ""
    refers: bool = True
    refers_to: Literal["environment", "question", "secrets"] = "environment"
    asks: Callable[[Sequence[str]], Beside] | None = None
    signs: Paths
    apps: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    add_command: str = ""
    bare_path: bool = False
    after: str
    after_project: str = ""
    makes_link: MakeLink | None = None

    def user_file(self, machine: Machine) -> Path:
        """The file to write to: the first that exists, else the first whose folder does, else the usual one."""
        files = self.user_files(machine)
        there = [file for file in files if file.exists()] or [file for file in files if file.parent.is_dir()]
        return (there or list(files))[0]

    def project_path(self, project: Path) -> Path | None:
        """The file of the servers of a project."""
        return project / self.project_file if self.project_file is not None else None

    @property
    def needs_desktop_variables(self) -> bool:
        """Whether a variable that it refers to must be set for programs of the desktop, not only in a shell."""
        return self.refers and self.bare_path and self.refers_to == "environment"

    def is_used(self, machine: Machine) -> bool:
        """Whether this user has used the host: it has left something in their home folder."""
        return any(sign.exists() for sign in self.signs(machine))

    def is_present(self, machine: Machine) -> bool:
        """Whether the host seems to be installed for this user."""
        folders = (Path("/Applications"), machine.home / "Applications") if machine.platform == "darwin" else ()
        return (
            self.is_used(machine)
            or any((folder / f"{app}.app").exists() for app in self.apps for folder in folders)
            or any(machine.which(command) is not None for command in self.commands)
        )

    def entry(self, launch: Launch, *, name: str = SERVER.key, forwarded: Sequence[str] = ()) -> dict[str, Any]:
        """An entry in the host's own form.

        Args:
            forwarded: variables whose values the host fetches itself; only of use if it ``refers``.
        """
        return self.shape.write(name, launch, forwarded)

    def launch_of(self, entry: Mapping[str, Any]) -> Launch | None:
        """What an entry starts; None if it starts no process. References stand in ``env`` as they are written."""
        return self.shape.read(entry)

    def link(self, launch: Launch, *, name: str = SERVER.key, forwarded: Sequence[str] = ()) -> Link | None:
        """The one-click link that registers the server with the host."""
        return None if self.makes_link is None else self.makes_link(name, launch, forwarded)
