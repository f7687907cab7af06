"""Machine code: loops, products, threads. Arrays in, arrays out; nothing knows about tensors."""
