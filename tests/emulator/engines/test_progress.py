"""What is seen of a download."""

import io

from inline_snapshot import snapshot

from databricks_workspace_emulator.engines.progress import stderr_progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_log_gets_a_line_every_ten_percent() -> None:
    out = io.StringIO()
    with stderr_progress(out) as progress:
        for done in range(0, 5_000_001, 50_000):
            progress("model", done, 5_000_000)
    assert out.getvalue().splitlines()[:3] == snapshot(
        ["fetching model: 0 % of 5 MB", "fetching model: 10 % of 5 MB", "fetching model: 20 % of 5 MB"]
    )
    assert len(out.getvalue().splitlines()) == 11


def test_a_terminal_gets_a_bar_that_goes_away() -> None:
    out = Terminal()
    with stderr_progress(out) as progress:
        progress("server", 1_000_000, 2_000_000)
        progress("server", 2_000_000, 2_000_000)
        progress("model", 3_000_000, 3_000_000)
    assert "fetching server" in out.getvalue()
    assert "\x1b[?25h" in out.getvalue()  # The cursor is shown again.


def test_nothing_is_written_when_nothing_is_fetched() -> None:
    for out in (io.StringIO(), Terminal()):
        with stderr_progress(out):
            pass
        assert out.getvalue() == ""
