"""Checks, counts, contracts, and a backward pass with its numbers; nothing below knows them."""
