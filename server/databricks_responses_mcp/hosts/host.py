"""One host as data: its configuration files, its entries, how it is detected, and its user's next step."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from databricks_responses_mcp.hosts.entry_formats import EntryFormat, RelatedItems
from databricks_responses_mcp.hosts.links import Link, LinkMaker
from databricks_responses_mcp.hosts.machine import Machine
from databricks_responses_mcp.hosts.server_info import SERVER, Launch

Format = Literal["json", "toml", "yaml"]
Paths = Callable[[Machine], tuple[Path, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A host, as data.

    Attributes:
        key: its name on the command line.
        title: its name for people.
        user_files: the files that may contain its user's servers, the usual one first.
        project_file: the file of a project's servers, relative to the project; None if it has none. It is meant to be
            committed, so it must not contain a secret.
        format: of both files.
        within: the keys that lead to the object, or list, of servers.
        servers_are_list: whether the servers are a list of entries with names, not an object with a key for each.
        entry_format: the format of an entry.
        new_file: the initial text of a new file.
        resolves_variables: whether the host can fetch a variable's value itself, so that no file has to contain it.
        variable_source: where it fetches the value from: the environment of its own process, a question to its user,
            or its own store of secrets.
        related_items: returns the items that forwarded variables need elsewhere in the file.
        usage_paths: files or folders that exist if this user has used the host.
        apps: its application bundles on macOS.
        commands: its programs on the PATH.
        add_command: the host's own command that registers a server; "" if it has none.
        lacks_shell_path: whether it is started from the desktop, without the PATH of the user's shell: then a command
            should be absolute.
        next_step: the next step of its user, one sentence.
        next_step_in_project: the next step after a project's file was written, if that differs.
        make_link: makes its one-click link; None if it has none.
    """

    key: str
    title: str
    user_files: Paths
    project_file: str | None = None
    format: Format = "json"
    within: tuple[str, ...] = ("mcpServers",)
    servers_are_list: bool = False
    entry_format: EntryFormat
    new_file: str = ""
    resolves_variables: bool = True
    variable_source: Literal["environment", "question", "secrets"] = "environment"
    related_items: Callable[[Sequence[str]], RelatedItems] | None = None
    usage_paths: Paths
    apps: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    add_command: str = ""
    lacks_shell_path: bool = False
    next_step: str
    next_step_in_project: str = ""
    make_link: LinkMaker | None = None

    def find_user_file(self, machine: Machine) -> Path:
        """Return the file to write to: the first that exists, else the first whose folder exists, else the first."""
        files = self.user_files(machine)
        existing = [file for file in files if file.exists()] or [file for file in files if file.parent.is_dir()]
        return (existing or list(files))[0]

    def project_path(self, project: Path) -> Path | None:
        """Return the file of a project's servers; None if the host has none."""
        return project / self.project_file if self.project_file is not None else None

    @property
    def needs_desktop_variables(self) -> bool:
        """Whether variables that it refers to must be set for desktop programs, not only in a shell."""
        return self.resolves_variables and self.lacks_shell_path and self.variable_source == "environment"

    def is_used(self, machine: Machine) -> bool:
        """Return whether this user has used the host: its files or folders exist."""
        return any(path.exists() for path in self.usage_paths(machine))

    def is_present(self, machine: Machine) -> bool:
        """Return whether the host seems to be installed for this user."""
        folders = (Path("/Applications"), machine.home / "Applications") if machine.platform == "darwin" else ()
        return (
            self.is_used(machine)
            or any((folder / f"{app}.app").exists() for app in self.apps for folder in folders)
            or any(machine.which(command) is not None for command in self.commands)
        )

    def make_entry(self, launch: Launch, *, name: str = SERVER.key, forwarded: Sequence[str] = ()) -> dict[str, Any]:
        """Return an entry in the host's own format.

        Args:
            forwarded: variables whose values the host fetches itself; used only if it ``resolves_variables``.
        """
        return self.entry_format.write(name, launch, forwarded)

    def read_launch(self, entry: Mapping[str, Any]) -> Launch | None:
        """Return how an entry starts its server; None if it starts no process. References in ``env`` are kept."""
        return self.entry_format.read(entry)

    def make_install_link(
        self, launch: Launch, *, name: str = SERVER.key, forwarded: Sequence[str] = ()
    ) -> Link | None:
        """Return the one-click link that registers the server with the host; None if the host has none."""
        return None if self.make_link is None else self.make_link(name, launch, forwarded)
