"""What all tests share."""

import pytest


@pytest.fixture
def anyio_backend() -> str:
    """The bridge runs on asyncio."""
    return "asyncio"
