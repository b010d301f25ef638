"""Making a model's SVG safe to show: only what draws is kept.

An SVG is a document that a browser runs: it may contain scripts, event handlers, embedded pages and URLs that are
loaded. A parser reads it, and what the lists below contain is written again; an SVG without anything else is unchanged.
Nothing is loaded here, and entities are never expanded.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape
from xml.parsers import expat

from databricks_responses_mcp.media.formats import Buffer
from databricks_responses_mcp.media.svg_cost import MAX_DRAWN, SvgCost

MAX_BYTES = 8_000_000
MAX_ELEMENTS = 200_000
MAX_DEPTH = 200
MAX_ATTRIBUTES = 200
"""In one element."""

_SVG = "http://www.w3.org/2000/svg"
_XLINK = "http://www.w3.org/1999/xlink"
_XML = "http://www.w3.org/XML/1998/namespace"
_SEPARATOR = " "

_NAMES = (
    "svg g defs symbol use title desc switch path rect circle ellipse line polyline polygon image text tspan textPath",
    "linearGradient radialGradient stop pattern clipPath mask marker style filter feBlend feColorMatrix feComposite",
    "feComponentTransfer feConvolveMatrix feDiffuseLighting feDisplacementMap feDistantLight feDropShadow feFlood",
    "feFuncA feFuncB feFuncG feFuncR feGaussianBlur feImage feMerge feMergeNode feMorphology feOffset fePointLight",
    "feSpecularLighting feSpotLight feTile feTurbulence animate animateTransform animateMotion mpath",
)
_ELEMENTS = frozenset(name for line in _NAMES for name in line.split())
_TRANSPARENT = frozenset({"a"})
"""Elements that are removed while their content is kept."""
_ANIMATIONS = frozenset({"animate", "animateTransform", "animateMotion"})
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]*")
_HREFS = frozenset({"href", f"{_XLINK}{_SEPARATOR}href"})
_XML_ATTRIBUTES = frozenset({f"{_XML}{_SEPARATOR}space", f"{_XML}{_SEPARATOR}lang"})
_PICTURE = re.compile(r"data:image/(?:png|jpeg|webp|gif);base64,[A-Za-z0-9+/=\s]*", re.ASCII)
_REFERENCE = re.compile(r"#[\w.:-]{1,200}")
_URL = re.compile(r"url\(", re.IGNORECASE)
_OWN_URL = re.compile(r"url\(\s*(['\"]?)#[\w.:-]{1,200}\1\s*\)", re.IGNORECASE)
_UNSAFE_STYLE = re.compile(
    r"\\|//|@(?!keyframes\b|media\b)|javascript:|data:|expression\(|behavior|binding|(?:image|image-set|src|attr|element)\("
    r"|--[\w-]+\s*:[^;}]*(?:url|var)\(",
    re.IGNORECASE,
)
"""In a style: escapes, which hide the rest; what loads; what runs in old browsers; variables of references, which can
be used anywhere and grow by being used in each other."""
_LOADING = re.compile(r"(?:image|image-set|src|element)\(", re.IGNORECASE)
_LENGTH = re.compile(r"\s*([0-9]{1,7}(?:\.[0-9]{1,9})?)\s*(?:px)?\s*")


class SvgError(ValueError):
    """An SVG that is not shown at all; the message says why, as the end of a sentence."""


@dataclass(frozen=True, slots=True)
class CleanSvg:
    """An SVG that is safe to show.

    Attributes:
        data: the SVG.
        size: width and height in pixels from its root; None if they are missing.
        removed: the kinds of what was removed, sorted.
    """

    data: bytes
    size: tuple[int, int] | None
    removed: tuple[str, ...]


def clean_svg(data: Buffer) -> CleanSvg:
    """Remove from an SVG everything that does more than draw. Uses CPU time: call it in a worker thread.

    Raises:
        SvgError: it is not XML, declares entities, or exceeds one of the limits above.
    """
    source = bytes(data)
    if len(source) > MAX_BYTES:
        raise SvgError(f"it has more than {MAX_BYTES} bytes")
    cleaner = _Cleaner()
    cleaner.read(source)
    is_whole = not cleaner.removed and not cleaner.is_rewritten and _is_utf8(source, cleaner.encoding)
    written = source if is_whole else "".join(cleaner.out).encode("utf-8")
    return CleanSvg(written, cleaner.size, tuple(sorted(cleaner.removed)))


def _is_utf8(source: bytes, declared: str | None) -> bool:
    """Return whether every program that reads the bytes reads the same text."""
    try:
        source.decode("utf-8")
    except UnicodeDecodeError:
        return False
    # UTF-16 without a mark is valid UTF-8 with NULs.
    return b"\0" not in source and (declared is None or declared.lower() in ("utf-8", "us-ascii"))


class _Cleaner:
    """Reads an SVG and writes the allowed parts of it.

    Attributes:
        out: the pieces of the new SVG.
        removed: what was removed.
        is_rewritten: whether something was removed that need not be reported.
        size: of the root, in pixels.
        encoding: as declared; None if it is not.
    """

    def __init__(self) -> None:
        self.encoding: str | None = None
        self.out: list[str] = []
        self.removed: set[str] = set()
        self.is_rewritten = False
        self.size: tuple[int, int] | None = None
        self._open: list[str | None] = []
        self._skipping = 0
        self._elements = 0
        self._style: list[str] | None = None
        self._is_in_cdata = False
        self._cost = SvgCost()
        self._inside = [0]

    def read(self, source: bytes) -> None:
        parser = expat.ParserCreate(namespace_separator=_SEPARATOR)
        parser.buffer_text = True
        parser.ordered_attributes = False
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.XmlDeclHandler = self._declaration
        parser.CommentHandler = self._comment
        parser.StartCdataSectionHandler = self._start_cdata
        parser.EndCdataSectionHandler = self._end_cdata
        parser.ProcessingInstructionHandler = self._instruction
        parser.StartDoctypeDeclHandler = self._doctype
        parser.EntityDeclHandler = self._entity
        parser.SkippedEntityHandler = self._skipped
        try:
            parser.Parse(source, True)
        except expat.ExpatError as error:
            raise SvgError(f"it is not well-formed ({expat.ErrorString(error.code)})") from error
        except (ValueError, LookupError, UnicodeError) as error:
            if isinstance(error, SvgError):
                raise
            raise SvgError("its encoding is not known") from error
        if not self.out:
            raise SvgError("it has no svg element")
        if self._cost.drawn() > MAX_DRAWN:
            raise SvgError(f"its parts refer to each other so that more than {MAX_DRAWN} elements would be drawn")

    def _start(self, name: str, attributes: Mapping[str, str]) -> None:
        self._elements += 1
        if self._elements > MAX_ELEMENTS:
            raise SvgError(f"it has more than {MAX_ELEMENTS} elements")
        if len(self._open) >= MAX_DEPTH:
            raise SvgError(f"its elements are nested more than {MAX_DEPTH} deep")
        if len(attributes) > MAX_ATTRIBUTES:
            raise SvgError(f"an element has more than {MAX_ATTRIBUTES} attributes")
        namespace, _, local = name.rpartition(_SEPARATOR)
        if not self._open and (namespace, local) != (_SVG, "svg"):
            raise SvgError("its root is not an svg element")
        self._inside.append(self._inside[-1])
        if self._skipping or self._style is not None:
            self._open.append(None)
            self._skipping += 1
            return
        if namespace == _SVG and local in _TRANSPARENT:
            self.removed.add("links")
            self._open.append(None)
            return
        if namespace != _SVG or local not in _ELEMENTS or self._animates_an_address(local, attributes):
            self._leave_out(namespace, local)
            self._open.append(None)
            self._skipping += 1
            return
        if not self._open:
            self.size = _size(attributes)
        self._inside[-1] = self._cost.add(self._inside[-1], local, attributes, _HREFS)
        kept = self._attributes(attributes)
        if not self._open:
            kept = [f'xmlns="{_SVG}"', f'xmlns:xlink="{_XLINK}"', *kept]
        self.out.append(f"<{' '.join([local, *kept])}>")
        self._open.append(local)
        if local == "style":
            self._style = []

    def _end(self, _name: str) -> None:
        self._inside.pop()
        local = self._open.pop()
        if local is None:
            # A transparent element was not counted: its content is kept.
            self._skipping -= self._skipping > 0
            return
        if self._style is not None:
            text = "".join(self._style)
            self._style = None
            self._cost.add_style(text)
            if _is_safe_style(text):
                self.out.append(escape(text, quote=False))
            else:
                self.removed.add("styles that load or run something")
        self.out.append(f"</{local}>")

    def _text(self, text: str) -> None:
        if self._is_in_cdata and ("<" in text or ">" in text) and (self._style is None or "<" in text):
            self.is_rewritten = True
        if self._skipping:
            return
        if self._style is not None:
            self._style.append(text)
        elif self._open:
            self.out.append(escape(text, quote=False))

    def _declaration(self, _version: str, encoding: str | None, _standalone: int) -> None:
        self.encoding = encoding

    # Viewers that embed the SVG in HTML read two things differently from XML: a comment ends at once if it begins with
    # > or ->, and CDATA in a title or a description is not CDATA, so that elements begin in it.

    def _comment(self, text: str) -> None:
        self.is_rewritten = self.is_rewritten or text.startswith((">", "->"))

    def _start_cdata(self) -> None:
        self._is_in_cdata = True

    def _end_cdata(self) -> None:
        self._is_in_cdata = False

    def _instruction(self, *_: str) -> None:
        self.removed.add("processing instructions")

    def _doctype(self, _name: str, _system: str | None, _public: str | None, has_internal_subset: int) -> None:
        if has_internal_subset:
            raise SvgError("it declares entities or elements of its own")
        self.is_rewritten = True

    def _entity(self, *_: object) -> None:
        raise SvgError("it declares entities")

    def _skipped(self, *_: object) -> None:
        self.is_rewritten = True

    def _leave_out(self, namespace: str, local: str) -> None:
        if (namespace == _SVG and local == "metadata") or namespace != _SVG:
            # Private data of editors; a page inside of foreignObject is removed with it.
            self.is_rewritten = True
        else:
            self.removed.add({"script": "scripts", "foreignObject": "pages"}.get(local, f"{local[:40]} elements"))

    def _animates_an_address(self, local: str, attributes: Mapping[str, str]) -> bool:
        target = attributes.get("attributeName", "").rpartition(":")[2].strip().lower()
        return local in _ANIMATIONS and (target in ("href", "style", "src", "base") or target.startswith("on"))

    def _attributes(self, attributes: Mapping[str, str]) -> list[str]:
        kept: list[str] = []
        for name, value in attributes.items():
            if name in _HREFS:
                if _REFERENCE.fullmatch(value.strip()) or _PICTURE.fullmatch(value.strip()):
                    kept.append(f"{'href' if name == 'href' else 'xlink:href'}={_quoted(value)}")
                else:
                    self.removed.add("links")
            elif name in _XML_ATTRIBUTES:
                kept.append(f"xml:{name.rpartition(_SEPARATOR)[2]}={_quoted(value)}")
            elif _SEPARATOR in name or not _NAME.fullmatch(name):
                self.is_rewritten = True
            elif name.lower().startswith("on"):
                self.removed.add("event handlers")
            elif name.lower() in ("src", "base", "ping") or not _is_safe_value(name, value):
                self.removed.add("external references")
            else:
                kept.append(f"{name}={_quoted(value)}")
        return kept


def _quoted(value: str) -> str:
    """Return a value for an attribute; white space that a parser would change is written as a number."""
    quoted = escape(value)
    for character in "\t\n\r":
        quoted = quoted.replace(character, f"&#{ord(character)};")
    return f'"{quoted}"'


def _is_safe_value(name: str, value: str) -> bool:
    if name.lower() == "style":
        return _is_safe_style(value)
    if _LOADING.search(value) or "\\" in value:
        return False
    return _refers_to_itself(value) and "javascript:" not in re.sub(r"\s", "", value.lower())


def _is_safe_style(text: str) -> bool:
    return _refers_to_itself(text) and _UNSAFE_STYLE.search(text) is None


def _refers_to_itself(text: str) -> bool:
    """Return whether each ``url(…)`` in it is a reference to a part of the same SVG."""
    return len(_URL.findall(text)) == len(_OWN_URL.findall(text))


def _size(attributes: Mapping[str, str]) -> tuple[int, int] | None:
    """Return width and height of the root, or those of its view box."""
    sides = [_LENGTH.fullmatch(attributes.get(name, "")) for name in ("width", "height")]
    texts: Iterable[str] = [side[1] for side in sides if side]
    if not all(sides):
        box = re.split(r"[\s,]+", attributes.get("viewBox", "").strip())
        texts = [side for side in box[2:] if _LENGTH.fullmatch(side)] if len(box) == 4 else []
    numbers = [round(float(text)) for text in texts]
    return (numbers[0], numbers[1]) if len(numbers) == 2 and min(numbers) > 0 else None
