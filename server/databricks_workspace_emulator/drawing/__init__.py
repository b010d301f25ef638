"""Scenes drawn from the words of a prompt, without a model: sky, land, weather, and named subjects."""
