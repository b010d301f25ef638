"""An SVG of a model: what draws is kept, what runs, loads or grows without bound is not."""

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import anyio
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from inline_snapshot import snapshot

from databricks_responses_mcp.errors import BridgeError, ErrorCode
from databricks_responses_mcp.media.gallery import PictureGallery
from databricks_responses_mcp.media.pictures import save_picture
from databricks_responses_mcp.media.svg import SvgError, clean_svg
from databricks_responses_mcp.media.svg_picture import can_render_svg, pixels_of

NS = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
CALM = (
    f'<?xml version="1.0" encoding="UTF-8"?>\n<!-- a lake --><svg {NS} width="64px" height="32"><defs>'
    '<linearGradient id="sky"><stop offset="0" stop-color="#8af"/></linearGradient></defs><title>A &lt;lake&gt;</title>'
    '<style>.a{fill:url(#sky)} @keyframes k{from{opacity:0}}</style><rect class="a" width="64" height="32"/>'
    '<use xlink:href="#sky"/><image href="data:image/png;base64,iVBORw0KGgo="/><text xml:lang="fr">é</text></svg>'
).encode()

HOSTILE = {
    "script": "<script>alert(1)</script>",
    "script in other capitals": "<SCRIPT>alert(1)</SCRIPT>",
    "script of another prefix": '<s:script xmlns:s="http://www.w3.org/2000/svg">alert(1)</s:script>',
    "event handler": '<rect onload="alert(1)"/>',
    "event handler in capitals": '<rect ONLOAD="alert(1)"/>',
    "page": '<foreignObject><iframe xmlns="http://www.w3.org/1999/xhtml" src="http://evil/"/></foreignObject>',
    "html": '<script xmlns="http://www.w3.org/1999/xhtml">alert(1)</script>',
    "link": '<a href="javascript:alert(1)"><text>go</text></a>',
    "address with a tab": '<use href="java&#9;script:alert(1)"/>',
    "foreign part": '<use xlink:href="http://evil/x.svg#a"/>',
    "picture of the web": '<image href="https://evil/x.png"/>',
    "svg in a data url": '<image href="data:image/svg+xml;base64,PHN2Zy8+"/>',
    "file": '<image href="file:///etc/passwd"/>',
    "style import": "<style>@import 'http://evil/x.css';</style>",
    "style url": "<style>rect{fill:url('http://evil/x#a')}</style>",
    "style escape": r"<style>rect{fill:u\72l(http://evil/)}</style>",
    "style in cdata": "<style><![CDATA[rect{background:url(http://evil/)}]]></style>",
    "font": "<style>@font-face{src:url(data:font/woff;base64,AA)}</style>",
    "style attribute": '<rect style="fill:url(http://evil/)"/>',
    "image set": "<rect mask=\"image-set('http://evil/x' 1x)\"/>",
    "fill": '<rect fill="url(http://evil/#a)"/>',
    "fill with two": '<rect fill="url(#a) url(//evil)"/>',
    "animated address": '<animate attributeName="xlink:href" to="javascript:alert(1)"/>',
    "animated handler": '<animate attributeName="onclick" to="alert(1)"/>',
    "set": '<set attributeName="href" to="javascript:alert(1)"/>',
    "animated base": '<animate attributeName="xml:base" to="http://evil/"/>',
    "base": '<g xml:base="http://evil/"/>',
    "stylesheet": '<?xml-stylesheet href="http://evil/x.css"?>',
    "handler element": '<handler type="application/ecmascript">alert(1)</handler>',
}
DANGER = re.compile(rb"alert|evil|script|onload|passwd|foreignObject|import|svg\+xml|@font|\\", re.IGNORECASE)


def svg(body: str) -> bytes:
    return f'<svg {NS} width="10" height="10">{body}</svg>'.encode()


def doubling(levels: int) -> str:
    """Parts of which each draws the one before twice."""
    parts = "".join(f'<g id="p{n}"><use href="#p{n - 1}"/><use href="#p{n - 1}"/></g>' for n in range(1, levels))
    return f'<defs><g id="p0"><rect/></g>{parts}</defs><use href="#p{levels - 1}"/>'


def test_an_svg_that_only_draws_stays_as_it_is() -> None:
    cleaned = clean_svg(CALM)
    assert cleaned.data == CALM
    assert (cleaned.size, cleaned.removed) == ((64, 32), ())


@pytest.mark.parametrize("name", HOSTILE)
def test_active_content_is_removed_and_the_drawing_remains(name: str) -> None:
    cleaned = clean_svg(svg(f'<rect id="before"/>{HOSTILE[name]}<rect id="after"/>'))
    assert DANGER.search(cleaned.data) is None, cleaned.data
    assert b'id="before"' in cleaned.data
    assert b'id="after"' in cleaned.data
    ET.fromstring(cleaned.data)
    # What was made is safe by its own rules, and stays as it is.
    assert clean_svg(cleaned.data).data == cleaned.data


@pytest.mark.parametrize(
    "body",
    [
        "<!--><script>alert(1)</script>-->",
        "<!---><img src=x onerror=alert(1)>-->",
        "<title><![CDATA[><img src=x onerror=alert(1)>]]></title>",
        "<desc><style><![CDATA[</style><img src=x onerror=alert(1)>]]></style></desc>",
    ],
)
def test_what_only_a_page_of_html_reads_as_elements_is_none_there_either(body: str) -> None:
    assert re.search(rb"<!|<script|<img", clean_svg(svg(body)).data) is None


def test_comments_and_cdata_that_every_reader_takes_alike_stay() -> None:
    source = svg("<!-- > a -> b --><style><![CDATA[g>rect{fill:red}]]></style><text><![CDATA[a & b]]></text>")
    assert clean_svg(source).data == source


@pytest.mark.parametrize("encoding", ["cp1252", "hz", "utf-16-le"])
def test_an_svg_whose_encoding_not_every_reader_sees_is_written_in_utf_8(encoding: str) -> None:
    declared = "" if encoding == "utf-16-le" else f'{" " * 300}encoding="{encoding}"'
    source = f'<?xml version="1.0"{declared}?><svg {NS}><rect/></svg>'.encode(encoding)
    assert clean_svg(source).data == f"<svg {NS}><rect></rect></svg>".encode()


def test_what_was_left_out_is_named() -> None:
    removed = {name: clean_svg(svg(body)).removed for name, body in HOSTILE.items()}
    assert sorted({kind for kinds in removed.values() for kind in kinds}) == snapshot(
        [
            "SCRIPT elements",
            "animate elements",
            "event handlers",
            "external references",
            "handler elements",
            "links",
            "pages",
            "processing instructions",
            "scripts",
            "set elements",
            "styles that load or run something",
        ]
    )


@pytest.mark.parametrize(
    "data",
    [
        b'<!DOCTYPE svg [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>' + svg("<text>&b;</text>"),
        b'<!DOCTYPE svg [<!ENTITY a SYSTEM "file:///etc/passwd">]>' + svg("<text>&a;</text>"),
        b'<!DOCTYPE svg [<!ENTITY % p SYSTEM "http://evil/x.dtd"> %p;]>' + svg(""),
        svg("<g>" * 300),
        svg("<g/>" * 200_001),
        svg(f"<g {' '.join(f'a{n}=' + repr('1') for n in range(201))}/>"),
        svg(doubling(40)),
        b"<html><svg/></html>",
        b"<svg onload='x()'/>",
        b"<svg",
        b"",
        b"\xff\xfe<\0s\0v\0g\0",
        b'<?xml version="1.0" encoding="utf-7"?><svg/>',
        svg("") + b" " * 8_000_000,
    ],
)
def test_invalid_or_unbounded_svg_is_refused(data: bytes) -> None:
    with pytest.raises(SvgError):
        clean_svg(data)


def test_parts_that_refer_to_themselves_or_a_few_times_are_drawn() -> None:
    for body in ('<g id="a"><use href="#a"/></g>', doubling(10)):
        assert clean_svg(svg(body)).removed == ()


def test_an_entity_that_a_document_type_elsewhere_may_have_is_not_looked_up() -> None:
    data = b'<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://evil/svg11.dtd">' + svg("<text>a&b;c</text>")
    assert b"evil" not in clean_svg(data).data


@given(st.text(alphabet="<>/&;'\"ag=#:on() \\", max_size=60))
@example("<a><style>")
def test_whatever_is_in_it_comes_out_as_xml_or_is_refused(body: str) -> None:
    try:
        cleaned = clean_svg(svg(body))
    except SvgError:
        return
    ET.fromstring(cleaned.data)


def test_a_saved_svg_is_the_safe_one(tmp_path: Path) -> None:
    saved = save_picture(svg("<rect/><script>alert(1)</script>"), tmp_path, "a lake")
    assert (saved.extension, saved.width, saved.height, saved.removed) == (".svg", 10, 10, ("scripts",))
    assert DANGER.search(saved.path.read_bytes()) is None
    with pytest.raises(BridgeError, match="cannot be shown safely"):
        save_picture(svg(doubling(40)), tmp_path, "a bomb")


@pytest.mark.anyio
async def test_an_svg_put_into_the_folder_by_another_program_is_sanitized_when_read(tmp_path: Path) -> None:
    (tmp_path / "a.svg").write_bytes(svg("<rect/><script>alert(1)</script>"))
    (tmp_path / "b.svg").write_bytes(svg(doubling(40)))
    gallery = PictureGallery(tmp_path)
    data, mime_type = await gallery.read("a.svg")
    assert (DANGER.search(data), mime_type) == (None, "image/svg+xml")
    with pytest.raises(BridgeError) as caught:
        await gallery.read("b.svg")
    assert caught.value.code is ErrorCode.PERMISSION_DENIED


@pytest.mark.anyio
async def test_an_svg_is_drawn_in_a_process_of_its_own(tmp_path: Path) -> None:
    assert can_render_svg()
    limiter = anyio.CapacityLimiter(1)
    (tmp_path / "a.svg").write_bytes(CALM)
    drawn = await pixels_of(tmp_path / "a.svg", limiter)
    assert drawn is not None
    assert drawn.startswith(b"\x89PNG")
    for data in (b"<svg", svg(doubling(40)), f'<svg {NS} width="9999999" height="1"/>'.encode() * 2):
        assert await pixels_of(data, limiter) is None
