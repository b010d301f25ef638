"""Text of documents, for models that do not accept documents."""
