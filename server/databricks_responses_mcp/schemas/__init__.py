"""Callers' JSON Schemas: limits of their size, and validation in a separate process."""
