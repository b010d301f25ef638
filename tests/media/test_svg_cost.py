"""An SVG whose parts draw each other over and over is refused, however they refer to each other."""

import time
from collections.abc import Callable
from contextlib import suppress

import pytest

from databricks_responses_mcp.media.svg import SvgError, clean_svg
from databricks_responses_mcp.media.svg_cost import MAX_DRAWN, SvgCost

LEVELS = 9
HREFS = frozenset({"href"})


def svg(body: str) -> bytes:
    return f'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9">{body}</svg>'.encode()


def pattern(level: int, content: str) -> str:
    return f'<pattern id="p{level}" width="1" height="1">{content}</pattern>'


def bomb(content: Callable[[int], str], style: Callable[[int], str] = lambda _: "", *, wraps: bool = False) -> bytes:
    """Patterns of which each draws the one before ten times, and an element that draws the last.

    Args:
        content: what is in the pattern of a level; of that of the last, what draws it.
        style: the rule for the level.
        wraps: whether ``content`` has the pattern itself in it.
    """
    parts = [pattern(0, "<rect/>")]
    parts += [content(level) if wraps else pattern(level, content(level)) for level in range(1, LEVELS)]
    sheet = "".join(style(level) for level in range(1, LEVELS + 1))
    last = content(LEVELS)
    return svg(f"{''.join(parts)}{last}<style>{sheet}</style>")


def rects(attributes: str) -> str:
    return f"<rect {attributes}/>" * 10


BOMBS = {
    "attribute": bomb(lambda n: rects(f'fill="url(#p{n - 1})"')),
    "style attribute": bomb(lambda n: rects(f'style="stroke:url(#p{n - 1})"')),
    "inherited from a group": bomb(lambda n: f'<g fill="url(#p{n - 1})">{rects("")}</g>'),
    "inherited by what is used": bomb(
        lambda n: (f'<g id="g{n}">{rects("")}</g>' if n == 1 else "") + f'<use href="#g1" fill="url(#p{n - 1})"/>'
    ),
    "inherited by the pattern from where it stands": bomb(
        lambda n: f'<g fill="url(#p{n - 1})">{pattern(n, rects(""))}</g>', wraps=True
    ),
    "class": bomb(lambda n: rects(f'class="c{n}"'), lambda n: f".c{n}{{fill:url(#p{n - 1})}}"),
    "class in other capitals": bomb(lambda n: rects(f'class="C{n}"'), lambda n: f".c{n}{{fill:url(#p{n - 1})}}"),
    "several classes": bomb(
        lambda n: rects(f'class="a c{n} b"'), lambda n: f"g .x, rect.c{n}.a{{fill:url('#p{n - 1}')}}"
    ),
    "class of a group": bomb(
        lambda n: f'<g class="c{n}">{rects("")}</g>', lambda n: f".c{n}{{ fill : URL( #p{n - 1} ) }}"
    ),
    "id": bomb(lambda n: f'<g id="i{n}">{rects("")}</g>', lambda n: f"#i{n}{{fill:url(#p{n - 1})}}"),
    "child selector": bomb(lambda n: rects(f'class="c{n}"'), lambda n: f"pattern > .c{n}{{fill:url(#p{n - 1})}}"),
    "attribute selector": bomb(lambda n: rects(f'id="i{n}"'), lambda n: f'[id="i{n}"]{{fill:url(#p{n - 1})}}'),
    "pseudo-class": bomb(lambda n: rects(f'class="c{n}"'), lambda n: f":is(.c{n}){{fill:url(#p{n - 1})}}"),
    "media rule": bomb(lambda n: rects(f'class="c{n}"'), lambda n: f"@media all{{.c{n}{{fill:url(#p{n - 1})}}}}"),
    "nested rule": bomb(lambda n: rects(f'class="c{n}"'), lambda n: f".c{n}{{x:y;&amp;{{fill:url(#p{n - 1})}}}}"),
    "rule of media in a rule": bomb(
        lambda n: rects(f'class="c{n}"'), lambda n: f".c{n}{{@media all{{fill:url(#p{n - 1})}}}}"
    ),
    "key frames": bomb(
        lambda n: rects(f'class="c{n}"'),
        lambda n: f"@keyframes k{n}{{from{{fill:url(#p{n - 1})}}}} .c{n}{{animation:k{n} 9s}}",
    ),
    "comment": bomb(lambda n: rects(f'class="c{n}"'), lambda n: f".c{n}/*{{*/{{fill:url(#p{n - 1})}}"),
    "string": bomb(lambda n: rects(f'class="c{n}"'), lambda n: f'.c{n}{{x:"}} .b{{";fill:url(#p{n - 1})}}'),
    "animation": bomb(
        lambda n: f'<g><animate attributeName="fill" values="url(#p{n - 1});none"/>{rects("")}</g>',
    ),
    "each in each other": svg(
        "".join(pattern(n, "".join(f'<rect fill="url(#p{m})"/>' for m in range(12))) for n in range(12))
        + '<rect fill="url(#p0)"/>'
    ),
    "mask": bomb(
        lambda n: rects(f'class="c{n}"'),
        lambda n: f".c{n}{{mask:url(#p{n - 1})}}",
    ),
    "mask that is inherited": bomb(lambda n: f'<g mask="url(#p{n - 1})">{rects("")}</g>', lambda _: "*{mask:inherit}"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_patterns_that_draw_each_other_are_refused(name: str) -> None:
    with pytest.raises(SvgError, match="more than 1000000 elements would be drawn"):
        clean_svg(BOMBS[name])


@pytest.mark.parametrize(
    "style",
    [
        "g{--a:url(#p)}rect{fill:var(--a)}",
        "g{--a:x;--b:var(--a) var(--a)}",
        "g { --a : URL(#p) }",
    ],
)
def test_variables_of_references_are_left_out(style: str) -> None:
    for body in (f"<style>{style}</style><rect/>", f'<g style="{style[2:].partition("}")[0]}"/><rect/>'):
        cleaned = clean_svg(svg(body))
        assert cleaned.removed != ()
        assert b"--" not in cleaned.data


def test_plain_variables_stay() -> None:
    source = svg("<style>svg{--ink:#123}.a{fill:var(--ink);stroke:url(#g)}</style>")
    assert clean_svg(source).data == source


def gradient(name: str) -> str:
    return f'<linearGradient id="{name}">{"<stop/>" * 8}</linearGradient>'


@pytest.mark.parametrize(
    "body",
    [
        # A chart: one gradient for thousands of bars.
        gradient("a") + "<style>.bar{fill:url(#a);clip-path:url(#a)} rect{stroke:url(#a)}</style>"
        + '<rect class="bar"/>' * 10_000,
        # Groups in groups, each with a gradient of its own.
        "".join(map(gradient, "abcdefghijklmnop"))
        + "".join(f'<g fill="url(#{name})" stroke="url(#{name})">' for name in "abcdefghijklmnop")
        + "<path/>" * 500
        + "</g>" * 16,
        # Masks in masks.
        '<mask id="m"><rect/></mask>' + '<g mask="url(#m)" filter="url(#m)">' * 40 + "<rect/>" * 100 + "</g>" * 40,
        # A hatching whose lines are called as what is hatched.
        '<pattern id="h"><path/><path/></pattern><style>path{fill:url(#h)} [x]{fill:url(#h)}</style>'
        + "<path/>" * 2_000,
        '<g id="t"><path/></g>' + '<use href="#t" fill="url(#t)"/>' * 5_000,
    ],
    ids=["chart", "gradients", "masks", "hatching", "uses"],
)  # fmt: skip
def test_what_people_draw_is_not_refused(body: str) -> None:
    source = svg(body)
    assert clean_svg(source).data == source


@pytest.mark.slow
def test_the_largest_and_oddest_are_counted_in_bounded_time() -> None:
    chain = "".join(f'<g id="a{n}"><use href="#a{n + 1}" fill="url(#a{n + 2})"/></g>' for n in range(60_000))
    same = "<style>" + ".c{fill:url(#x)}" * 200_000 + "</style>" + '<g class="c"/>' * 90_000
    spaces = f"<style>.a{' ' * 3_000_000}!{{fill:url(#x)}}{'a' * 10}{'.b' * 1_000_000}?{{}}</style>"
    comments = "<style>" + "/*" * 1_000_000 + "url(" * 500_000 + "#</style>"
    rings = "".join(f'<g id="r{n}" fill="url(#r{(n * 7) % 5000})"><rect/></g>' for n in range(5_000)) * 2
    began = time.process_time()
    for body in (chain, same, spaces, comments, rings):
        with suppress(SvgError):
            clean_svg(svg(body))
    assert time.process_time() - began < 60


def test_the_count_is_what_is_drawn() -> None:
    cost = SvgCost()
    root = cost.add(0, "svg", {}, HREFS)
    shape = cost.add(root, "pattern", {"id": "p"}, HREFS)
    cost.add(shape, "rect", {}, HREFS)
    group = cost.add(root, "g", {"fill": "url(#p)", "mask": "url(#p)"}, HREFS)
    cost.add(group, "rect", {}, HREFS)
    cost.add(group, "use", {"href": "#p"}, HREFS)
    # svg, pattern, rect; the mask (2); g, rect, use and what it uses (2), each with a fill of 2.
    assert cost.drawn() == 3 + 2 + 5 * (1 + 2)
    assert SvgCost().drawn() == 0
    assert MAX_DRAWN == 1_000_000
