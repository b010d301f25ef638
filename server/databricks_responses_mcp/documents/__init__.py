"""Text of documents, for models that take none."""
