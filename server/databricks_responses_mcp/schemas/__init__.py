"""JSON Schemas that callers bring: how large they may be, and checking with them where nothing can be held up."""
