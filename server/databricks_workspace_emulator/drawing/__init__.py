"""Scenes drawn from the words of a prompt, without a model: sky, land, weather, and subjects that are named."""
