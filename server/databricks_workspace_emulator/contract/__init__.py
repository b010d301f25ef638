"""What the workspace lets through, and the words in which it refuses the rest."""
