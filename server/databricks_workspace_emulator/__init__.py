"""A workspace on loopback that keeps the API contract."""
