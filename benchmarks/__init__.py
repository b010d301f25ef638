"""What the bridge costs beside the least that could do the same; ``python -m benchmarks`` runs all of it."""
