"""The requests that the workspace received: for tests, and for people who check what the bridge sends."""

import json
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import anyio


@dataclass(eq=False)
class Exchange:
    """One request and its outcome.

    Attributes:
        number: 1 for the first request to arrive.
        method: HTTP method.
        path: path without the query.
        query: the query string.
        headers: lower-case names; credentials are left out.
        body: the JSON body; ``None`` when there was none or it was not JSON.
        raw_body_bytes: the size of the body.
        user: the name of the authenticated user; empty if there is none.
        status: the HTTP status of the answer, once it has begun.
        events_sent: stream events sent so far.
        complete: whether the whole answer was handed to the connection.
        disconnected: set when the client disconnected before the answer was complete.
        finished: set when nothing more will be sent, for whatever reason.
    """

    number: int
    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: Any = None
    raw_body_bytes: int = 0
    user: str = ""
    status: int | None = None
    events_sent: int = 0
    complete: bool = False
    disconnected: anyio.Event = field(default_factory=anyio.Event)
    finished: anyio.Event = field(default_factory=anyio.Event)

    @property
    def request_tags(self) -> Any:
        """Return ``Databricks-Ai-Gateway-Request-Tags``, parsed as JSON; None without it.

        Raises:
            ValueError: if it is not JSON.
        """
        header = self.headers.get("databricks-ai-gateway-request-tags")
        return None if header is None else json.loads(header)


class RequestLog:
    """The last exchanges, oldest first.

    Args:
        size: the maximum number of entries.
    """

    def __init__(self, size: int = 1000) -> None:
        self.exchanges: deque[Exchange] = deque(maxlen=size)
        self._count = 0
        self._arrived = anyio.Event()

    def record(self, method: str, path: str, query: str, headers: Mapping[str, str]) -> Exchange:
        """Add a request that has arrived."""
        self._count += 1
        exchange = Exchange(self._count, method, path, query, headers)
        self.exchanges.append(exchange)
        self._arrived.set()
        self._arrived = anyio.Event()
        return exchange

    def to(self, path: str) -> list[Exchange]:
        """Return the exchanges whose path ends with ``path``."""
        return [exchange for exchange in self.exchanges if exchange.path.endswith(path)]

    async def wait_for(self, count: int = 1, path: str = "/responses") -> Exchange:
        """Wait until ``count`` requests to ``path`` have arrived; return the last of those."""
        while len(found := self.to(path)) < count:
            await self._arrived.wait()
        return found[count - 1]
