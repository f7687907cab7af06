"""Runs as they are seen: curves of several, an agent at play, events for TensorBoard."""
