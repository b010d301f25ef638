"""One tool call in flight: how long its host waits, what it has received, its result, its job."""
