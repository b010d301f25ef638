"""The time that a test waits for an event before it fails.

A deadline costs nothing in a passing test, so there is one long deadline for all: a busy machine takes many times as
long as an idle one. A test about a time limit advances the clock (`harness.clock`) instead of waiting.
"""

DEADLINE_SECONDS = 120
"""Long enough for every event on two cores with twenty busy processes."""

LONG_DEADLINE_SECONDS = 900
"""The deadline for minutes of work: an installation, the download of a model, a run of many rounds."""
