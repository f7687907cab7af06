"""`einsum`: sums of products by the names of axes, carried out by `matmul`.

    einsum("bij,jk->bik", x, w)

Two tensors at a time. Each is brought into the form (shared, own, summed) of a stack of matrices,
and one `matmul` does the rest; so all derivatives come with it.
"""

import math
import string
from collections.abc import Sequence
from typing import Any

from tinygrad_rl.core import Tensor, as_tensor
from tinygrad_rl.ops.arithmetic import mul
from tinygrad_rl.ops.products import diagonal, matmul
from tinygrad_rl.ops.reduce import sum_
from tinygrad_rl.ops.shape import permute_, reshape
from tinygrad_rl.spelling import counted


def einsum(subscripts: str, *tensors: Any) -> Tensor:
    """Einstein's summation with NumPy's notation: letters name axes, `...` stands for leading ones.

    Parameters
    ----------
    subscripts : letters for each tensor, then `->` and those of the result. Without `->`, the
        letters that occur once, in the alphabet's order.

    Raises
    ------
    ValueError : naming the subscripts and what about them does not fit.
    """
    operands = [as_tensor(t) for t in tensors]
    inputs, output = _parse(subscripts, operands)
    sizes = _sizes(subscripts, inputs, operands)
    if unknown := set(output) - set(sizes):
        raise ValueError(f"einsum {subscripts!r}: no input has the axis {min(unknown)!r}")
    terms = [_simplified(t, axes, sizes) for t, axes in zip(operands, inputs, strict=True)]
    result, axes = terms[0]
    for i, (other, theirs) in enumerate(terms[1:], 2):
        later = {*output}.union(*(a for _, a in terms[i:]))
        result, axes = _contract(result, axes, other, theirs, later)
    result, axes = _summed(result, axes, {*output})
    return permute_(result, axes=tuple(axes.index(c) for c in output))


def _parse(subscripts: str, operands: Sequence[Tensor]) -> tuple[list[str], str]:
    """The axes of each input and of the output as letters, with `...` written out in free ones."""
    text = subscripts.replace(" ", "")
    left, arrow, right = text.partition("->")
    parts = left.split(",")
    if len(parts) != len(operands):
        raise ValueError(
            f"einsum {subscripts!r} is for {counted(len(parts), 'tensor')}, not {len(operands)}"
        )
    free = [c for c in string.ascii_letters if c not in text]
    inputs, widest = [], ""
    for part, t in zip(parts, operands, strict=True):
        dots = "".join(free[: max(0, t.ndim - len(part.replace("...", "")))][::-1])
        widest = max(widest, dots, key=len) if "..." in part else widest
        inputs.append(part.replace("...", dots, 1))
    once = sorted(c for c in {*left} if c.isalpha() and left.count(c) == 1)
    output = right.replace("...", widest, 1) if arrow else widest + "".join(once)
    for part, t in zip(inputs, operands, strict=True):
        if len(part) != t.ndim:
            raise ValueError(f"einsum {subscripts!r}: {part!r} does not name the axes of {t.shape}")
    names = "".join(inputs) + output
    if names.strip(string.ascii_letters) or len({*output}) != len(output):
        raise ValueError(f"einsum {subscripts!r}: axes are letters, each once in the result")
    return inputs, output


def _sizes(subscripts: str, inputs: list[str], operands: Sequence[Tensor]) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for part, t in zip(inputs, operands, strict=True):
        for axis, n in zip(part, t.shape, strict=True):
            known = sizes.setdefault(axis, n)
            if known != n and 1 not in (known, n):
                raise ValueError(f"einsum {subscripts!r}: {axis!r} has sizes {known} and {n}")
            sizes[axis] = n if known == 1 else known
    return sizes


def _simplified(t: Tensor, axes: str, sizes: dict[str, int]) -> tuple[Tensor, str]:
    """Without repeated letters (their diagonal is meant) and without axes that only broadcast."""
    kept = [i for i, a in enumerate(axes) if t.shape[i] == sizes[a]]
    t, axes = reshape(t, [t.shape[i] for i in kept]), "".join(axes[i] for i in kept)
    for a in dict.fromkeys(axes):
        while axes.count(a) > 1:
            first = axes.index(a)
            second = axes.index(a, first + 1)
            t = diagonal(t, 0, first, second)
            axes = axes[:first] + axes[first + 1 : second] + axes[second + 1 :] + a
    return t, axes


def _contract(a: Tensor, in_a: str, b: Tensor, in_b: str, later: set[str]) -> tuple[Tensor, str]:
    """The product of two tensors, summed over the axes that nobody asks for later."""
    a, in_a = _summed(a, in_a, later | {*in_b})
    b, in_b = _summed(b, in_b, later | {*in_a})
    shared = [c for c in in_a if c in in_b and c in later]
    summed = [c for c in in_a if c in in_b and c not in later]
    own_a, own_b = [c for c in in_a if c not in in_b], [c for c in in_b if c not in in_a]
    n = {**dict(zip(in_a, a.shape, strict=True)), **dict(zip(in_b, b.shape, strict=True))}

    def matrices(t: Tensor, axes: str, *groups: list[str]) -> Tensor:
        t = permute_(t, axes=tuple(axes.index(c) for g in groups for c in g))
        lead, *rest = groups
        return reshape(t, [n[c] for c in lead] + [math.prod(n[c] for c in g) for g in rest])

    if summed:
        out = matmul(
            matrices(a, in_a, shared, own_a, summed), matrices(b, in_b, shared, summed, own_b)
        )
    else:
        out = mul(matrices(a, in_a, shared, own_a, []), matrices(b, in_b, shared, [], own_b))
    names = [*shared, *own_a, *own_b]
    return reshape(out, [n[c] for c in names]), "".join(names)


def _summed(t: Tensor, axes: str, wanted: set[str]) -> tuple[Tensor, str]:
    """Summed over the axes that are not wanted."""
    over = tuple(i for i, c in enumerate(axes) if c not in wanted)
    return (sum_(t, over) if over else t), "".join(c for c in axes if c in wanted)
