"""A web page in a headless Chromium, clicked through as a person does (Chrome DevTools protocol)."""

import base64
import json
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx
import websockets
from rendering import command, shrink

_SECONDS = 40
_CLICK = """
(() => { const found = [...document.querySelectorAll("button, a, label, [role=tab], [role=button], p, span, div")]
  .filter(one => one.innerText?.trim() === TEXT && one.offsetParent !== null).pop();
  if (found) found.click(); return Boolean(found); })()
"""
_CLICK_FIRST = """
(() => { const found = [...document.querySelectorAll("span, div, td")]
  .find(one => one.children.length === 0 && one.innerText?.includes(TEXT) && one.offsetParent !== null);
  if (found) found.click(); return Boolean(found); })()
"""


class Page:
    """The page."""

    def __init__(self, socket: Any) -> None:
        self._socket = socket
        self._last = 0

    async def open(self, url: str) -> None:
        """Go there; tries again until it is served."""
        while "errorText" in await self._call("Page.navigate", url=url):  # noqa: ASYNC110 - nobody tells
            await anyio.sleep(0.5)

    async def press(self, key: str, code: int, modifiers: int = 0) -> None:
        """Press a key."""
        for kind in ("rawKeyDown", "keyUp"):
            await self._call(
                "Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, modifiers=modifiers
            )

    async def type(self, text: str) -> None:
        """Type text where the caret is."""
        await self._call("Input.insertText", text=text)

    async def click(self, selector: str) -> None:
        """Click the first element that fits a selector, as soon as there is one."""
        await self._true(f"(one => one ? (one.click(), true) : false)(document.querySelector({json.dumps(selector)}))")

    async def click_text(self, text: str) -> None:
        """Click what says just this, as soon as there is such a thing."""
        await self._true(_CLICK.replace("TEXT", json.dumps(text)))

    async def click_first(self, text: str) -> None:
        """Click the first element without children whose text contains this, as soon as there is one."""
        await self._true(_CLICK_FIRST.replace("TEXT", json.dumps(text)))

    async def until(self, text: str) -> None:
        """Wait for a text on the page."""
        await self._true(f"document.body.innerText.includes({json.dumps(text)})")

    async def draw(self, target: Path) -> None:
        """Draw the page as it is, once it has come to rest."""
        await anyio.sleep(1.5)
        shot = await self._call("Page.captureScreenshot")
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "shot.png"
            file.write_bytes(base64.b64decode(shot["data"]))
            shrink(file, target)

    async def _true(self, expression: str) -> None:
        with anyio.move_on_after(_SECONDS):
            while not (await self._call("Runtime.evaluate", expression=expression))["result"].get("value"):  # noqa: ASYNC110
                await anyio.sleep(0.3)
            return
        shown = await self._call("Runtime.evaluate", expression="document.body.innerText")
        raise SystemExit(f"{expression} did not come true:\n{shown['result'].get('value')}")

    async def _call(self, method: str, **params: Any) -> dict[str, Any]:
        self._last += 1
        await self._socket.send(json.dumps({"id": self._last, "method": method, "params": params}))
        while (message := json.loads(await self._socket.recv())).get("id") != self._last:
            pass
        result: dict[str, Any] = message.get("result", {})
        return result


@asynccontextmanager
async def browser(width: int, height: int) -> AsyncIterator[Page]:
    """A page of that size; the browser is ended with the context."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        argv = [*command(), "--remote-debugging-port=0", f"--user-data-dir={folder}", f"--window-size={width},{height}"]
        process = await anyio.open_process(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            port = Path(folder) / "DevToolsActivePort"
            with anyio.fail_after(_SECONDS):
                while not port.exists() or not port.read_text():  # noqa: ASYNC110
                    await anyio.sleep(0.1)
            number = port.read_text().splitlines()[0]
            async with httpx.AsyncClient(trust_env=False) as client:
                pages = (await client.get(f"http://127.0.0.1:{number}/json")).json()
            address = next(page["webSocketDebuggerUrl"] for page in pages if page["type"] == "page")
            async with websockets.connect(address, max_size=None) as socket:
                yield Page(socket)
        finally:
            process.kill()
            await process.wait()
