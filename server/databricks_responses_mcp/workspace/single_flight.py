"""A blocking function in a thread of its own, whose result all concurrent callers share.

The threads are daemons on purpose: the SDK sends requests without a timeout, and a worker thread of the event loop that
hangs in one would prevent the process from ending.
"""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

import anyio
import anyio.from_thread
import anyio.lowlevel

T = TypeVar("T")


class Flight(Generic[T]):
    """A running call. It continues when its callers are cancelled.

    Args:
        function: the function to call; it starts immediately, in a new thread.
        name: the thread's name.
    """

    def __init__(self, function: Callable[[], T], name: str) -> None:
        self._function = function
        self._lock = threading.Lock()
        self._waiting: list[Callable[[], None]] = []
        self._value: list[T] = []
        self._error: Exception | None = None
        self._landed = False
        threading.Thread(target=self._run, name=name, daemon=True).start()

    @property
    def landed(self) -> bool:
        """Whether the call has ended."""
        return self._landed

    async def result(self) -> T:
        """Return the function's result, or raise its exception."""
        event = anyio.Event()
        token = anyio.lowlevel.current_token()

        def wake() -> None:
            try:
                anyio.from_thread.run_sync(event.set, token=token)
            except RuntimeError:
                # The event loop has ended meanwhile; nothing is waiting any more.
                return

        with self._lock:
            if not self._landed:
                self._waiting.append(wake)
            else:
                event.set()
        try:
            await event.wait()
        finally:
            with self._lock:
                if wake in self._waiting:
                    self._waiting.remove(wake)
        if self._error is not None:
            raise self._error.with_traceback(None)
        return self._value[0]

    def _run(self) -> None:
        try:
            self._value.append(self._function())
        except BaseException as error:  # noqa: BLE001 - whoever waits raises it
            # A SystemExit in the thread must not end this process.
            self._error = error if isinstance(error, Exception) else RuntimeError(type(error).__name__)
        with self._lock:
            self._landed = True
            waiting, self._waiting = self._waiting, []
        for wake in waiting:
            wake()
