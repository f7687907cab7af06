"""Runs on a Ray cluster: the connection, its nodes, and what each of them does."""
