"""How long a test waits for what must happen, before it fails.

A deadline costs nothing in a test that passes, so there is one for all, and it is generous: a busy machine takes many
times as long as an idle one. A test about a time limit sets the clock (`harness.clock`) instead of waiting.
"""

DEADLINE_SECONDS = 120
"""Longer than anything takes that a test waits for, on two cores with twenty busy processes."""

LONG_DEADLINE_SECONDS = 900
"""The same for minutes of work: an installation, the download of a model, a run of many rounds."""
