"""One file an item type: the events in which it comes, and what the emulator puts in it."""
