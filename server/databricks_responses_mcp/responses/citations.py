"""The text that a citation refers to: annotations often cover the link after it, not the text."""

import re
from collections.abc import Collection

_LINK = re.compile(
    r"\[([^\[\]\n]{0,300})\]\(<?(https?://[^\s<>()]{0,2000}(?:\([^\s<>()]{0,300}\)[^\s<>()]{0,2000})?)>?\)"
)
_BEFORE_GROUP = re.compile(r"[ \t]{0,3}\([ \t]?\Z")
_AFTER_GROUP = re.compile(r"[ \t]?\)")
_BETWEEN = re.compile(r"[ \t,;|·]{1,3}")
_SENTENCE_END = re.compile(r"[.!?…][\"')\]]*\s+|\n+")
_DOMAIN = re.compile(r"(?:[\w-]+\.)+[a-z]{2,}(?:/\S*)?", re.IGNORECASE)
_AROUND = " \t\n()[],;|·"
_MAX_ROW_CHARACTERS = 3000
"""In characters before a link, which are searched for other links."""

_MAX_SENTENCE_CHARACTERS = 500
"""In characters before a link, which are searched for the beginning of its sentence."""


def cited_span(text: str, start: int, end: int) -> tuple[int, int]:
    """Return the position of the cited text, for an annotation from ``start`` to ``end``; empty if there is none.

    Links at the ends are left out. An annotation that contains only links refers to the text of its link or, if that
    only names the site or is in brackets, to the sentence before it.
    """
    links = list(_LINK.finditer(text, start, end))
    if not links:
        return start, end
    words = _trimmed(text, start, end, links)
    if words[0] < words[1]:
        return words
    label = links[0]
    if len(links) == 1 and _is_words(label[1]) and not _is_reference(text, label):
        return label.span(1)
    return _sentence_before(text, start)


def link_edits(text: str, urls: Collection[str]) -> list[tuple[int, int, str]]:
    """Return the replacements that remove Markdown links to ``urls`` from the text; the text of links is kept.

    Links in brackets are references: they are removed with the brackets. So is a link whose text only names its site.
    """
    edits: list[tuple[int, int, str]] = []
    for group in _groups(text):
        links = [link for link in group if link[2] in urls]
        if len(links) == len(group) and (around := _brackets(text, group)) is not None:
            edits.append((*around, ""))
            continue
        for link in links:
            if _is_words(link[1]):
                edits += (link.start(), link.start(1), ""), (link.end(1), link.end(), "")
            else:
                space = 1 if text[link.start() - 1 : link.start()] == " " else 0
                edits.append((link.start() - space, link.end(), ""))
    return edits


def _is_reference(text: str, link: re.Match[str]) -> bool:
    """Return whether a link is in brackets, alone or with other links only."""
    near = _groups(text, max(link.start() - _MAX_ROW_CHARACTERS, 0), link.end() + _MAX_ROW_CHARACTERS)
    group = next((group for group in near if any(other.span() == link.span() for other in group)), [link])
    return _brackets(text, group) is not None


def _groups(text: str, start: int = 0, end: int | None = None) -> list[list[re.Match[str]]]:
    """Return the links in a part of a text, grouped if only punctuation separates them."""
    groups: list[list[re.Match[str]]] = []
    for link in _LINK.finditer(text, start, len(text) if end is None else end):
        if groups and _BETWEEN.fullmatch(text, groups[-1][-1].end(), link.start()):
            groups[-1].append(link)
        else:
            groups.append([link])
    return groups


def _brackets(text: str, group: list[re.Match[str]]) -> tuple[int, int] | None:
    """Return the span of a group of links with its brackets and the spaces before it; None without brackets."""
    start, end = group[0].start(), group[-1].end()
    before = _BEFORE_GROUP.search(text, max(start - 5, 0), start)
    after = _AFTER_GROUP.match(text, end)
    return (before.start(), after.end()) if before and after else None


def _is_words(label: str) -> bool:
    """Return whether the text of a link contains more than the name of its site."""
    return bool(label.strip()) and _DOMAIN.fullmatch(label.strip()) is None


def without_links(text: str) -> str:
    """Return the text with its Markdown links replaced by their text."""
    return _LINK.sub(lambda link: link[1], text)


def _trimmed(text: str, start: int, end: int, links: list[re.Match[str]]) -> tuple[int, int]:
    """Return the span without links, brackets and spaces at its ends."""
    remaining = list(links)
    while start < end:
        if remaining and remaining[0].start() == start:
            start = remaining.pop(0).end()
        elif remaining and remaining[-1].end() == end:
            end = remaining.pop().start()
        elif text[start] in _AROUND:
            start += 1
        elif text[end - 1] in _AROUND:
            end -= 1
        else:
            return start, end
    return start, start


def _sentence_before(text: str, end: int) -> tuple[int, int]:
    links = [link.span() for link in _LINK.finditer(text, max(end - _MAX_ROW_CHARACTERS, 0), end)]
    while end > 0:
        if links and links[-1][1] == end:
            # Several links in a row refer to the same text.
            end = links.pop()[0]
        elif text[end - 1] in _AROUND:
            end -= 1
        else:
            break
    first = max(end - _MAX_SENTENCE_CHARACTERS, 0)
    sentences = [found.end() for found in _SENTENCE_END.finditer(text, first, end) if found.end() < end]
    start = max([first, *sentences, *(link_end for _, link_end in links if link_end <= end)])
    while start < end and text[start] in f"{_AROUND}.":
        start += 1
    return start, end
