"""Files to edit: read as text without losing a byte, and written back together or not at all."""

import codecs
import hashlib
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import anyio.to_thread

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.media.atomic_changes import Change, change_files
from databricks_responses_mcp.media.failures import in_units, shown, together
from databricks_responses_mcp.media.file_kinds import kind_of
from databricks_responses_mcp.media.local_files import read_bounded, resolve
from databricks_responses_mcp.media.path_policy import SETTING, AllowedPaths
from databricks_responses_mcp.media.several import MAX_REFERENCES
from databricks_responses_mcp.media.write_journal import WriteJournal
from databricks_responses_mcp.media.write_policy import WritePolicy

_MARK = "\ufeff"
# The order matters: the mark of UTF-32 little-endian begins with the one of UTF-16.
_MARKED = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
    (codecs.BOM_UTF8, "utf-8"),
)
# Any bytes are valid Windows-1252, so control codes decide.
_NOT_IN_TEXT = {"cp1252": re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f]")}
_NUL = re.compile("\0")


@dataclass(frozen=True, slots=True)
class Original:
    """A file as it was read.

    Attributes:
        path: its path, with links resolved.
        text: its whole content, including a byte order mark, with newlines unchanged.
        encoding: Python's name of the encoding, with which ``text`` gives the same bytes.
        digest: SHA-256 of its bytes, in hexadecimal.
    """

    path: Path
    text: str
    encoding: str
    digest: str


class Staging:
    """The files of one edit. Names are paths with ``/``, relative to ``root`` if they are in it.

    Attributes:
        root: the directory that names are relative to.
        originals: the files by name, in the order of the call.
        wanted: the names of the new files that the caller requested.
    """

    def __init__(
        self,
        policy: WritePolicy,
        journal: WriteJournal,
        root: Path,
        originals: Mapping[str, Original],
        wanted: Sequence[str] = (),
    ) -> None:
        self._policy = policy
        self._journal = journal
        self.root = root
        self.originals = dict(originals)
        self.wanted = tuple(wanted)

    @classmethod
    async def read(
        cls,
        references: Sequence[str],
        *,
        allowed: AllowedPaths,
        journal: WriteJournal,
        max_bytes: int,
        max_total_bytes: int,
        new: Sequence[str] = (),
        base: Path | None = None,
    ) -> "Staging":
        """Read all files to edit, after undoing an interrupted write.

        Args:
            references: paths: absolute, ``~``, ``file://`` or relative to ``base``; without ``..``.
            allowed: where files may be read and written.
            journal: records writes while they are in progress.
            max_bytes: the maximum size of one file.
            max_total_bytes: the maximum size of all files together.
            new: paths, as ``references``, of files that may be created. Others may be created in the directories of
                these and of the files to edit, if no part of their path begins with a dot.
            base: what relative paths are relative to; the working directory if None.

        Raises:
            BridgeError: all problems in one error: ``permission_denied`` (outside, links, git's), ``invalid_argument``
                (``..``, a directory, not text, a new file that exists), ``not_found``, ``too_large``.
        """
        files = _Files(allowed, journal, max_bytes, max_total_bytes, base)
        return await anyio.to_thread.run_sync(files.read, references, new, abandon_on_cancel=True)

    @property
    def texts(self) -> dict[str, str]:
        """The texts by name."""
        return {name: original.text for name, original in self.originals.items()}

    def unasked(self, names: Iterable[str]) -> list[str]:
        """Return those of ``names`` that are new files which the caller did not request."""
        return sorted(name for name in names if name not in self.originals and name not in self.wanted)

    async def admit(self, name: str, text: str | None) -> None:
        """Check that a file could be written with this text; None means a deletion.

        Raises:
            BridgeError: its encoding lacks these characters, or a new file exists already or is not allowed.
        """
        await anyio.to_thread.run_sync(self._admit, name, text)

    async def write(self, texts: Mapping[str, str]) -> str:
        """Write these texts: all files that differ, or none; files that are not among them are deleted.

        Returns:
            A sentence about what is uncertain; usually empty.

        Raises:
            BridgeError: as `change_files`; nothing was changed then.
        """
        # Not abandoned when the call is cancelled: it takes a short time, and must not stop in between.
        return await anyio.to_thread.run_sync(self._write, dict(texts))

    def _admit(self, name: str, text: str | None) -> None:
        original = self.originals.get(name)
        if original is None:
            path = self._policy.check_new(self.root / name, name)
            if os.path.lexists(path):
                raise BridgeError(
                    ErrorCode.INVALID_ARGUMENT,
                    f"{shown(name)} exists already, but was not among the files to edit.",
                    "Name it in `paths`, or use another name.",
                )
            if taken := next((parent for parent in path.parents if parent.exists() and not parent.is_dir()), None):
                raise BridgeError(
                    ErrorCode.INVALID_ARGUMENT,
                    f"{shown(name)} cannot be made: {shown(taken.name)} is a file, not a directory.",
                    "Have another name used.",
                )
        if text is not None:
            _encoded(name, text, original)

    def _write(self, texts: dict[str, str]) -> str:
        changes: list[Change] = []
        for name in [*self.originals, *sorted(texts.keys() - self.originals.keys())]:
            original, text = self.originals.get(name), texts.get(name)
            if original is not None and text == original.text:
                continue
            data = None if text is None else _encoded(name, text, original)
            if original is None:
                changes.append(Change(self.root / name, name, data, None))
            else:
                changes.append(Change(original.path, name, data, original.digest))
        return change_files(changes, self._policy, self._journal)


class _Files:
    """Reads the files of one edit; blocks."""

    def __init__(
        self, allowed: AllowedPaths, journal: WriteJournal, max_bytes: int, max_total_bytes: int, base: Path | None
    ) -> None:
        self._allowed = allowed
        self._base = base
        self._policy = WritePolicy(allowed)
        self._journal = journal
        self._max_bytes = max_bytes
        self._max_total_bytes = max_total_bytes

    def read(self, references: Sequence[str], new: Sequence[str]) -> Staging:
        if len(references) + len(new) > MAX_REFERENCES:
            raise BridgeError(
                ErrorCode.INVALID_ARGUMENT,
                f"{len(references) + len(new)} files were named; the limit of one call is {MAX_REFERENCES}.",
                "Name only those that matter.",
            )
        self._journal.recover()
        read, wanted = self._named(references, new)
        root = _root(self._allowed, [*read, *wanted])
        # Without any named file, the directory that the server was started in is the one to edit.
        folders = [path.parent for path in (*read, *wanted)] or [root]
        return Staging(
            self._policy.limited(folders, wanted),
            self._journal,
            root,
            {_name(path, root): original for path, original in read.items()},
            [_name(path, root) for path in wanted],
        )

    def _named(self, references: Sequence[str], new: Sequence[str]) -> tuple[dict[Path, Original], list[Path]]:
        read: dict[Path, Original] = {}
        wanted: list[Path] = []
        errors: list[BridgeError] = []
        total = 0
        for reference in references:
            try:
                path = self._existing(reference)
                if path in read:
                    continue
                read[path] = self._original(path, reference)
            except BridgeError as error:
                errors.append(error.with_traceback(None))
                continue
            total += len(read[path].text)
            if total > self._max_total_bytes:
                raise BridgeError(
                    ErrorCode.TOO_LARGE,
                    f"The {len(references)} files have more than {in_units(self._max_total_bytes)} together, which is "
                    "all that can be sent.",
                    "Edit fewer files at once.",
                )
        for reference in new:
            try:
                wanted.append(self._new(reference))
            except BridgeError as error:
                errors.append(error.with_traceback(None))
        if errors:
            raise together(errors, len(references) + len(new), "files")
        return read, list(dict.fromkeys(wanted))

    def _existing(self, reference: str) -> Path:
        path = _resolved(reference, self._base)
        return self._policy.check_existing(self._allowed.locate(path, reference), reference)

    def _new(self, reference: str) -> Path:
        path = _resolved(reference, self._base)
        path = self._policy.limited([], [path]).check_new(path, reference)
        if os.path.lexists(path):
            raise BridgeError(
                ErrorCode.INVALID_ARGUMENT,
                f"{shown(reference)} exists already, so it is not a new file.",
                "Give it in `paths`.",
            )
        return path

    def _original(self, path: Path, reference: str) -> Original:
        max_bytes = self._max_bytes
        file, size = self._allowed.open(path, reference)
        with file:
            data = b"" if size > max_bytes else read_bounded(file, max_bytes, reference)
        if max(size, len(data)) > max_bytes:
            raise BridgeError(
                ErrorCode.TOO_LARGE,
                f"{shown(reference)} has {in_units(max(size, len(data)))}; a file to edit may have "
                f"{in_units(max_bytes)}.",
                "Raise RESPONSES_MCP_MAX_FILE_BYTES if the model can take so much, or edit it otherwise.",
            )
        text, encoding = _decoded(data, reference)
        return Original(path, text, encoding, hashlib.sha256(data).hexdigest())


def _resolved(reference: str, base: Path | None) -> Path:
    path = resolve(reference, base)
    if ".." in path.parts:
        raise BridgeError(
            ErrorCode.INVALID_ARGUMENT,
            f"{shown(reference)} contains “..”, which is refused for files that are to be changed.",
            "Name the file by its own path.",
        )
    return path


def _decoded(data: bytes, reference: str) -> tuple[str, str]:
    # Before any decoding: a short PDF, for example, is valid in some encodings.
    if (kind := kind_of(data)) is not None:
        raise BridgeError(
            ErrorCode.INVALID_ARGUMENT,
            f"{shown(reference)} is {kind.name}, not a text file.",
            "Name text files only to be edited.",
        )
    marked = next((encoding for mark, encoding in _MARKED if data.startswith(mark)), None)
    for encoding in (marked,) if marked else ("utf-8", "cp1252"):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if not _NOT_IN_TEXT.get(encoding, _NUL).search(text) and text.encode(encoding) == data:
            return text, encoding
    raise BridgeError(
        ErrorCode.INVALID_ARGUMENT, f"{shown(reference)} is not a text file.", "Name text files only to be edited."
    )


def _encoded(name: str, text: str, original: Original | None) -> bytes:
    """Return the bytes of a file with this text, in its previous encoding; UTF-8 for a new file."""
    encoding = "utf-8"
    if original is not None:
        encoding = original.encoding
        if original.text.startswith(_MARK) and not text.startswith(_MARK):
            text = _MARK + text
    try:
        return text.encode(encoding)
    except UnicodeEncodeError as error:
        raise BridgeError(
            ErrorCode.INVALID_ARGUMENT,
            f"{shown(name)} is a file in {encoding}, which has no {ascii(text[error.start])[1:-1]} "
            f"(in line {text.count(chr(10), 0, error.start) + 1}).",
            "Have it written without such characters, or convert the file to UTF-8 first.",
        ) from error


def _root(allowed: AllowedPaths, paths: Sequence[Path]) -> Path:
    """Return the directory of an edit.

    It is the working directory if it is allowed and contains all the files, else such an allowed directory, else their
    common parent.
    """
    try:
        here = [Path.cwd().resolve()]
    except OSError:
        here = []
    # A relative path never means the root: hosts start servers there when they have no project.
    here = [place for place in here if place != Path(place.anchor) and allowed.has(place)]
    roots = [Path(os.path.realpath(root)) for root in allowed.roots or ()]
    for place in (*here, *roots):
        if all(path.is_relative_to(place) for path in paths) and place not in paths:
            return place
    if paths:
        return Path(os.path.commonpath([path.parent for path in paths])) if _on_one_drive(paths) else paths[0].parent
    raise BridgeError(
        ErrorCode.PERMISSION_DENIED,
        "There is no directory for new files: the server was started outside of any project.",
        f"Set {SETTING} to the project's directory, or name a file in `paths`.",
    )


def _on_one_drive(paths: Sequence[Path]) -> bool:
    return len({path.anchor for path in paths}) == 1


def _name(path: Path, root: Path) -> str:
    return (path.relative_to(root) if path.is_relative_to(root) else path).as_posix()
