"""What the users of a service may do: the rules as data, and the decisions by them. No I/O."""
