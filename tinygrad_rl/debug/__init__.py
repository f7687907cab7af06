"""Checks, counts, contracts, and a backward pass with its values; nothing below knows them."""
