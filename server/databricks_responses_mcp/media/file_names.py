"""What the names of files mean on file systems that read several spellings as one: Windows, macOS, network shares.

A rule for a name such as ``.git`` has to hold for every spelling that leads to the same file. The rules are the same on
every system: a project that is edited on Linux may lie on a share, or be opened on Windows tomorrow.
"""

import re
import unicodedata

MAX_NAME_BYTES = 255
"""The longest name of one file that Linux and macOS take, in bytes of UTF-8."""
MAX_PATH_BYTES = 4096
"""The longest path that Linux takes, in bytes of UTF-8."""

# Windows gives a file with a long name a second, short one: .git is also GIT~1, .claude is CLAUDE~1.
_SHORT_ALIAS = re.compile(r"[^.~]{1,6}~[0-9]{1,6}(\.[^.]{0,3})?")
_GIT_ALIAS = re.compile(r"git~[0-9]+")
_RESERVED = re.compile(
    r"(con|prn|aux|nul|conin\$|conout\$|com[0-9\u00b9\u00b2\u00b3]|lpt[0-9\u00b9\u00b2\u00b3])\s*([.:].*)?",
    re.IGNORECASE,
)
_FORBIDDEN_ON_WINDOWS = re.compile(r"[\x00-\x1f:*?\"<>|\\/]")


def canonical(name: str) -> str:
    """One path component in the one spelling that stands for all that a lenient file system takes for it.

    Case and Unicode form do not count, nor do invisible characters (HFS+ ignores them), spaces and dots at the end
    (Windows drops them), or a colon and what follows (on NTFS, a stream of the same file).
    """
    visible = "".join(character for character in name if unicodedata.category(character) != "Cf")
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", visible).casefold())
    return folded.partition(":")[0].rstrip(" .")


def is_git_name(name: str) -> bool:
    """Whether a path component is ``.git`` in any spelling, its short name on Windows included."""
    for spelling in (name, unicodedata.normalize("NFKC", name)):
        plain = canonical(spelling)
        if plain == ".git" or _GIT_ALIAS.fullmatch(plain):
            return True
    return False


def is_hidden_name(name: str) -> bool:
    """Whether a path component begins with a dot, in any spelling."""
    return canonical(name)[:1] == "." or name[:1] == "."


def is_short_alias(name: str) -> bool:
    """Whether Windows may take a path component for the short name of another file."""
    return _SHORT_ALIAS.fullmatch(canonical(name)) is not None


def is_named_otherwise_on_windows(name: str) -> bool:
    """Whether Windows cannot have a file of that name, or would write another one: a stream, a device, a cut name."""
    return bool(_FORBIDDEN_ON_WINDOWS.search(name) or name[-1:] in (" ", ".") or _RESERVED.fullmatch(name))


def is_too_long(name: str) -> bool:
    """Whether a path component is longer than file systems take."""
    return len(name.encode("utf-8", "surrogatepass")) > MAX_NAME_BYTES


def as_typed(name: str) -> str:
    """The name as a person would type it: composed, with plain spaces.

    macOS writes accents apart from their letters, and no-break spaces into the names of screenshots.
    """
    spaced = "".join(" " if unicodedata.category(character) == "Zs" else character for character in name)
    return unicodedata.normalize("NFC", spaced)
