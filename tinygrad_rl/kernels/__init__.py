"""Numba loops and BLAS calls: arrays in, arrays out; nothing here knows about tensors."""
