"""One file a kind of agent: the chunks in which its answer comes, and the whole that they add up to."""
