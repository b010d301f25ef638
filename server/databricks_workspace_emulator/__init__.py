"""A workspace on loopback that implements the API contract."""
