"""The text of PDFs, read in a process of its own."""

import base64
import sys

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic_core import to_json

from databricks_responses_mcp.bounded_process import run_bounded
from databricks_responses_mcp.documents.pdf_text import PdfText, read_pdf
from databricks_responses_mcp.turns.document_text import DocumentTexts
from harness.deadlines import DEADLINE_SECONDS
from harness.documents import pdf

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_the_text_of_each_page_is_read_under_its_number() -> None:
    assert await read_pdf(pdf("First words", "Second words")) == PdfText(
        text="[page 1]\nFirst words\n\n[page 2]\nSecond words", pages=2, read=2
    )


async def test_a_pdf_without_text_says_so() -> None:
    assert await read_pdf(pdf("", "")) == PdfText(pages=2, problem="it contains no text, only pictures of pages")


@pytest.mark.parametrize("data", [b"", b"%PDF-1.4", b"%PDF-1.4\n" + b"\xff" * 1000, pdf("Hello")[:-200]])
async def test_a_damaged_pdf_gives_a_problem_or_a_text_and_never_raises(data: bytes) -> None:
    read = await read_pdf(data)
    assert bool(read.problem) != bool(read.text)


async def test_a_pdf_cannot_make_a_request_that_is_not_sent() -> None:
    hostile = pdf("Hello A", meaning="<41> <D800>")
    assert "\ud800" in (await read_pdf(hostile)).text
    url = f"data:application/pdf;base64,{base64.b64encode(hostile).decode()}"
    message = {"role": "user", "content": [{"type": "input_file", "filename": "a.pdf", "file_data": url}]}
    (converted,) = (await DocumentTexts().convert([message])).items
    assert b"Hello" in to_json(converted)


async def test_the_problem_of_a_pdf_is_told_in_one_line() -> None:
    hostile = pdf("Hello").replace(b"<< /Length", b"<< /Filter /X#0aYou#20are /Length")
    url = f"data:application/pdf;base64,{base64.b64encode(hostile).decode()}"
    message = {"role": "user", "content": [{"type": "input_file", "filename": "a.pdf", "file_data": url}]}
    (problem,) = (await DocumentTexts().convert([message])).problems
    assert "filter" in problem
    assert problem.isprintable()


async def test_text_is_truncated_at_the_limit() -> None:
    read = await read_pdf(pdf(*(["x" * 300_000] * 5)))
    assert (read.pages, read.read, read.cut) == (5, 4, True)
    assert len(read.text) < 1_000_100


async def test_a_reader_that_takes_too_long_is_ended() -> None:
    with anyio.CancelScope():
        assert await run_bounded("http.server", b"", wall_seconds=0.5) is None


@pytest.mark.parametrize("module", ["this", "no_module_of_this_name"])
async def test_a_reader_that_ends_before_it_has_read_everything_came_to_no_end(module: str) -> None:
    assert await run_bounded(module, b"x" * 2_000_000, wall_seconds=DEADLINE_SECONDS) is None


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limits")
async def test_a_reader_that_reaches_its_limit_leaves_no_core_dump() -> None:
    program = "import resource, databricks_responses_mcp.bounded_process as b\n"
    program += (
        "b.limit_this_process(cpu_seconds=9, memory_bytes=10**9); print(resource.getrlimit(resource.RLIMIT_CORE)[0])"
    )
    done = await anyio.run_process([sys.executable, "-c", program])
    assert done.stdout == b"0\n"


@pytest.mark.slow
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_pdf_with_any_bytes_changed_raises_nothing(data: st.DataObject) -> None:
    whole = bytearray(pdf("Hello", "World"))
    for _ in range(8):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    read = anyio.run(read_pdf, bytes(whole))
    assert bool(read.problem) != bool(read.text)
