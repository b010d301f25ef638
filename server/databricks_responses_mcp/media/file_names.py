"""File names on file systems that treat several spellings as one name: Windows, macOS, network shares.

A rule for a name such as ``.git`` must apply to every spelling of the same file. The rules are the same on every
system: a project that is edited on Linux may be on a share, or be opened on Windows later.
"""

import re
import unicodedata

MAX_NAME_BYTES = 255
"""The maximum length of a file name on Linux and macOS, in bytes of UTF-8."""
MAX_PATH_BYTES = 4096
"""The maximum length of a path on Linux, in bytes of UTF-8."""

# Windows gives a file with a long name a second, short name: .git is also GIT~1, .claude is CLAUDE~1.
_SHORT_ALIAS = re.compile(r"[^.~]{1,6}~[0-9]{1,6}(\.[^.]{0,3})?")
_GIT_ALIAS = re.compile(r"git~[0-9]+")
_RESERVED = re.compile(
    r"(con|prn|aux|nul|conin\$|conout\$|com[0-9\u00b9\u00b2\u00b3]|lpt[0-9\u00b9\u00b2\u00b3])\s*([.:].*)?",
    re.IGNORECASE,
)
_FORBIDDEN_ON_WINDOWS = re.compile(r"[\x00-\x1f:*?\"<>|\\/]")


def canonical(name: str) -> str:
    """Return a path component in one canonical spelling for all that a lenient file system treats as equal.

    Case, Unicode form and invisible characters (which HFS+ ignores) are removed, as are spaces and dots at the end
    (which Windows drops), and a colon with what follows (on NTFS, a stream of the same file).
    """
    visible = "".join(character for character in name if unicodedata.category(character) != "Cf")
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", visible).casefold())
    return folded.partition(":")[0].rstrip(" .")


def is_git_name(name: str) -> bool:
    """Return whether a path component is ``.git`` in any spelling, including its short name on Windows."""
    for spelling in (name, unicodedata.normalize("NFKC", name)):
        plain = canonical(spelling)
        if plain == ".git" or _GIT_ALIAS.fullmatch(plain):
            return True
    return False


def is_hidden_name(name: str) -> bool:
    """Return whether a path component begins with a dot, in any spelling."""
    return canonical(name)[:1] == "." or name[:1] == "."


def is_short_alias(name: str) -> bool:
    """Return whether Windows may treat a path component as the short name of another file."""
    return _SHORT_ALIAS.fullmatch(canonical(name)) is not None


def is_named_otherwise_on_windows(name: str) -> bool:
    """Return whether Windows has no such file name, or would write another file: a stream, a device, a
    truncated name.
    """
    return bool(_FORBIDDEN_ON_WINDOWS.search(name) or name[-1:] in (" ", ".") or _RESERVED.fullmatch(name))


def is_too_long(name: str) -> bool:
    """Return whether a path component is longer than file systems accept."""
    return len(name.encode("utf-8", "surrogatepass")) > MAX_NAME_BYTES


def as_typed(name: str) -> str:
    """Return the name as a person would type it: composed characters, plain spaces.

    macOS stores accents as separate characters, and uses no-break spaces in the names of screenshots.
    """
    spaced = "".join(" " if unicodedata.category(character) == "Zs" else character for character in name)
    return unicodedata.normalize("NFC", spaced)
