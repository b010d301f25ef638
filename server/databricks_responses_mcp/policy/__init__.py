"""The permissions of the users of a service: the rules as data, and the decisions by them. No I/O."""
