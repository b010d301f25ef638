"""One file for each item type: its events, and its content in the emulator."""
