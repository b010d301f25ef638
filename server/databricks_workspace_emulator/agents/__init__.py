"""One file for each kind of agent: the chunks of its answer, and the whole answer."""
