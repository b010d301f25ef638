"""Long answers in the store of a service."""

from pathlib import Path

import pytest

from databricks_responses_mcp.calls.stored_texts import StoredTexts
from databricks_responses_mcp.store.interface import StoreError
from databricks_responses_mcp.store.sqlite import SqliteStore

pytestmark = pytest.mark.anyio


def key_of(uri: str) -> str:
    return uri.removeprefix("answer://")


async def test_a_text_is_found_by_every_process_of_its_owner_alone(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "texts.db")
    ann, elsewhere, ben = (StoredTexts(store.for_owner(owner)) for owner in ("ann", "ann", "ben"))
    text = "a long answer \x00 \ud800 ü"
    uri = ann.keep(text)
    assert ann.keep(text) == uri == elsewhere.keep(text)
    assert await ann.read(key_of(uri)) == text
    await ann.save()
    await ann.save()
    fresh = StoredTexts(store.for_owner("ann"))
    assert [await texts.read(key_of(uri)) for texts in (ann, fresh, ben)] == [text, text, None]
    await store.aclose()


@pytest.mark.parametrize("key", ["", "1", "x" * 32, "A" * 32, "0" * 31, "0" * 33, "../" + "0" * 29, "'; drop table --"])
async def test_what_is_no_id_is_not_looked_up(key: str) -> None:
    class Untouched:
        """A store that nothing may be asked of."""

    assert await StoredTexts(Untouched()).read(key) is None  # type: ignore[arg-type]


async def test_a_text_that_cannot_be_stored_stays_readable_here(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Full(SqliteStore):
        async def put_text(self, text_id: str, text: str, now: float) -> None:
            raise StoreError("The disk is full.")

    store = Full(tmp_path / "texts.db")
    texts = StoredTexts(store)
    uri = texts.keep("a long answer")
    await texts.save()
    assert await texts.read(key_of(uri)) == "a long answer"
    assert "The disk is full." in caplog.text
    assert "a long answer" not in caplog.text
    await store.aclose()
