"""How much an SVG draws when its references are followed.

A few patterns or groups that refer to each other draw billions of elements. What is counted is never less than what a
viewer draws: an element with ``fill="url(#p)"`` may pass it on to all that is in it, and so does a rule of a style
sheet to all elements that its selector could mean.
"""

import re
from collections import defaultdict
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")

MAX_DRAWN = 1_000_000
"""Elements with the references among them followed: each may draw others many times."""

_ROOT = 0
_NOT_INHERITED = frozenset({"clip-path", "mask", "mask-image", "filter"})
_ANIMATIONS = frozenset({"animate", "animateTransform", "animateMotion", "set"})
_FLAT = frozenset({"lineargradient", "radialgradient", "stop"})
"""What has no elements that anything could be drawn for."""
_ANYTHING = "*"
_HREF = re.compile(r"\s*#([\w.:-]{1,200})")
_URL = re.compile(r"url\(\s*['\"]?#([\w.:-]{1,200})['\"]?\s*\)", re.IGNORECASE)
_COMMENT = re.compile(r"/\*.*?(?:\*/|\Z)", re.DOTALL)
_PIECE = re.compile(r"([^{};]*)([{};]|\Z)")
_DECLARATION = re.compile(r"\s*([\w-]+)\s*:(.*)", re.DOTALL)
_COMBINATOR = re.compile(r"[\s>+~]+")
_COMPOUND = re.compile(r"([a-z][\w-]*)?((?:[.#][\w-]+)*)")
_FRAME_NAMES = frozenset({"from", "to"})

_Cost = tuple[int, int]
"""``(a, b)`` of an element that draws ``a + b * x`` where each element in it also draws ``x`` that it inherits."""

_Steps = Generator["_Steps", Any, int]
"""A calculation that yields those whose results it needs: chains of references may be as long as the SVG."""


@dataclass(slots=True)
class _Element:
    """An element.

    Attributes:
        parent: the number of the element that it is in; -1 for the root.
        children: the numbers of the elements in it.
        used: ids of elements that are drawn in its place.
        applied: ids of what is applied to it once, as a mask is.
        inherited: ids of what is drawn for it and for each element in it, as a fill is.
        keys: what selectors may call it.
    """

    parent: int
    children: Sequence[int] = ()
    used: Sequence[str] = ()
    applied: Sequence[str] = ()
    inherited: Sequence[str] = ()
    keys: tuple[str, ...] = ()

    @property
    def is_plain(self) -> bool:
        """Whether the element draws only itself."""
        return not (self.children or self.used or self.applied or self.inherited)


class SvgCost:
    """Counts what the elements of one SVG draw."""

    def __init__(self) -> None:
        self._elements: list[_Element] = []
        self._by_id: dict[str, int] = {}
        self._rules: list[tuple[str, str, str]] = []
        self._anywhere: set[str] = set()
        self._forces_inheritance = False

    def add(self, parent: int, tag: str, attributes: Mapping[str, str], hrefs: frozenset[str]) -> int:
        """Add an element; return its number, which is 0 for the root.

        Args:
            parent: the number of the element that it is in; any number for the root.
            hrefs: the names of attributes that are references.
        """
        number = len(self._elements)
        element = _Element(parent if number else -1, keys=(tag.lower(),))
        self._elements.append(element)
        if number:
            self._elements[parent].children = _with(self._elements[parent].children, number)
        if classes := attributes.get("class"):
            element.keys += tuple(f".{name}" for name in classes.lower().split())
        if identifier := attributes.get("id"):
            self._by_id.setdefault(identifier, number)
            element.keys += (f"#{identifier.lower()}",)
        for name, value in attributes.items():
            if name in hrefs:
                if (match := _HREF.match(value)) is not None:
                    element.used = _with(element.used, match[1])
            elif name == "style":
                self._note_inheritance(value)
                for property_name, reference in _declared(value):
                    self._refer(number, property_name, reference)
            else:
                self._note_inheritance(value)
                for reference in _URL.findall(value) if "#" in value else ():
                    if tag in _ANIMATIONS:  # for another element, and for what is in that
                        self._anywhere.add(reference)
                    else:
                        self._refer(number, name.lower(), reference)
        return number

    def add_style(self, text: str) -> None:
        """Add a style sheet, whose rules are for elements before it as well."""
        self._note_inheritance(text)
        if "#" in text:
            self._rules += _rules(text)

    def drawn(self) -> int:
        """Return at most how many elements are drawn."""
        if not self._elements:
            return 0
        by_key: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for key, property_name, reference in self._rules:
            if key == _ANYTHING:
                self._anywhere.add(reference)
            else:
                by_key[key].append((property_name, reference))
        matches = sum(len(by_key[key]) for element in self._elements for key in element.keys if key in by_key)
        if matches > MAX_DRAWN:
            return MAX_DRAWN + 1
        for number, element in enumerate(self._elements) if matches else ():
            for key in element.keys:
                for property_name, reference in by_key.get(key, ()):
                    self._refer(number, property_name, reference)
        if self._forces_inheritance:
            for element in self._elements:
                element.inherited = (*element.inherited, *element.applied)
                element.applied = ()
        count = _Count(self._elements, self._by_id)
        drawn = count.drawn(_ROOT)
        # What may be drawn for any element may be drawn for its own elements too, until each has been drawn in each
        # other. So may what refers to itself by way of others: viewers differ in where they stop.
        anywhere = {self._by_id[name] for name in self._anywhere if name in self._by_id} | count.circular
        each = 1 + sum(count.drawn(number) for number in anywhere)
        deep = sum(self._elements[number].keys[0] not in _FLAT for number in anywhere)
        for _ in range(max(deep, 1) if anywhere else 0):
            if drawn <= MAX_DRAWN:
                drawn *= each
        return min(drawn, MAX_DRAWN + 1)

    def _note_inheritance(self, value: str) -> None:
        self._forces_inheritance = self._forces_inheritance or "inherit" in value.lower()

    def _refer(self, number: int, property_name: str, reference: str) -> None:
        element = self._elements[number]
        if property_name in _NOT_INHERITED:
            element.applied = _with(element.applied, reference)
        else:
            element.inherited = _with(element.inherited, reference)


def _with(items: Sequence[T], item: T) -> Sequence[T]:
    """Return the items with one more; most elements never have any, and share an empty tuple."""
    if not isinstance(items, list):
        items = [*items]
    items.append(item)
    return items


class _Count:
    """Follows the references of elements; one to what it is in is not followed.

    Attributes:
        circular: the numbers of elements that such references were to.
    """

    def __init__(self, elements: list[_Element], by_id: Mapping[str, int]) -> None:
        self._elements, self._by_id = elements, by_id
        self._costs: dict[int, _Cost] = {}
        self._own: dict[int, int] = {}
        self._wholes: dict[int, int] = {}
        self._open: set[tuple[str, int]] = set()
        self.circular: set[int] = set()

    def drawn(self, number: int) -> int:
        return _run(self._whole(number))

    def _whole(self, number: int) -> _Steps:
        """Return the cost of an element at its own place, including inherited parts."""
        if number in self._wholes:
            return self._wholes[number]
        inherited, place = 0, self._elements[number].parent
        while place >= 0:
            inherited += yield self._inherited(place)
            place = self._elements[place].parent
        a = yield self._constant(number)
        b = self._costs.get(number, (0, 0))[1]
        whole: int = min(a + b * (1 + inherited), MAX_DRAWN + 1)
        if number in self._costs:
            self._wholes[number] = whole
        return whole

    def _constant(self, number: int) -> _Steps:
        """Return the ``a`` of an element's cost; its ``b`` is in ``_costs`` then."""
        if number in self._costs:
            return self._costs[number][0]
        if ("cost", number) in self._open:
            self.circular.add(number)
            return 0
        self._open.add(("cost", number))
        element = self._elements[number]
        a, b = 0, 1
        used = (self._by_id[name] for name in element.used if name in self._by_id)
        for part in (*element.children, *used):
            if self._elements[part].is_plain:
                b += 1
                continue
            a += yield self._constant(part)
            b += self._costs.get(part, (0, 0))[1]
        for name in element.applied:
            if name in self._by_id:
                a += yield self._whole(self._by_id[name])
        a += b * (yield self._inherited(number))
        self._open.discard(("cost", number))
        self._costs[number] = (min(a, MAX_DRAWN + 1), min(b, MAX_DRAWN + 1))
        return self._costs[number][0]

    def _inherited(self, number: int) -> _Steps:
        """What an element passes on to each element in it."""
        if number in self._own:
            return self._own[number]
        if not self._elements[number].inherited:
            return 0
        if ("own", number) in self._open:
            self.circular.add(number)
            return 0
        self._open.add(("own", number))
        total = 0
        for name in self._elements[number].inherited:
            if name in self._by_id:
                total += yield self._whole(self._by_id[name])
        self._open.discard(("own", number))
        self._own[number] = min(total, MAX_DRAWN + 1)
        return self._own[number]


def _run(steps: _Steps) -> int:
    """Run a calculation and those whose results it needs."""
    stack, result = [steps], None
    while stack:
        try:
            needed = stack[-1].send(result)
        except StopIteration as end:
            stack.pop()
            result = end.value
        else:
            stack.append(needed)
            result = None
    return int(result or 0)


def _declared(text: str) -> list[tuple[str, str]]:
    """Return the properties of a list of declarations that refer to something, each with what it refers to."""
    return [(name, reference) for _, name, reference in _rules(f"x{{{text}}}")]


def _rules(text: str) -> list[tuple[str, str, str]]:
    """Return for each reference of a style sheet what selectors may mean, the property, and the reference.

    What is not understood is for every element.
    """
    references = _URL.findall(text)
    if not references:
        return []
    plain = _COMMENT.sub(" ", _URL.sub(r"url(#\1)", text))
    understood = 0
    rules: list[tuple[str, str, str]] = []
    if "'" not in plain and '"' not in plain:
        rules, understood = _blocks(plain)
    return rules if understood == len(references) else [(_ANYTHING, "", reference) for reference in references]


def _blocks(text: str) -> tuple[list[tuple[str, str, str]], int]:
    """Return the rules of a style sheet without strings and comments, and how many references they have."""
    rules: list[tuple[str, str, str]] = []
    understood = 0
    selectors: list[str] = []
    for words, end in _PIECE.findall(text):
        if end == "{":
            selectors.append(words.strip())
            continue
        declaration = _DECLARATION.fullmatch(words)
        for reference in _URL.findall(words):
            understood += 1
            name = declaration[1].lower() if declaration is not None else ""
            rules += [(key, name, reference) for key in _keys(selectors)]
        if end == "}" and selectors:
            selectors.pop()
    return rules, understood


def _keys(selectors: list[str]) -> list[str]:
    """Return what the elements may be called that the innermost of some selectors means."""
    if not selectors or selectors[-1].startswith("@") or any("keyframes" in one for one in selectors):
        return [_ANYTHING]
    keys: list[str] = []
    for selector in selectors[-1].lower().split(","):
        match = _COMPOUND.fullmatch(_COMBINATOR.split(selector.strip())[-1])
        simple = [] if match is None else re.findall(r"[.#][\w-]+", match[2])
        if simple:
            keys.append(next((one for one in simple if one.startswith("#")), simple[0]))
        elif match is not None and match[1] and match[1] not in _FRAME_NAMES:
            keys.append(match[1])
        else:
            return [_ANYTHING]
    return keys
