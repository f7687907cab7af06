"""tinygrad_rl: a reverse-mode autograd engine, a small core on fast Numba kernels.

    import tinygrad_rl as tg

    x = tg.Tensor([1.0, 2.0], requires_grad=True)
    (x * x).sum().backward()
    x.grad                                # 2x

The public names stand below, by subject. Array functions have NumPy's names and arguments;
autograd, `nn` and `optim` have PyTorch's.
"""

# ruff: noqa: I001  (imports packed: the list to read is the one by subject)

from tinygrad_rl import files, nn, optim
from tinygrad_rl.autodiff import grad
from tinygrad_rl.compiler import jit
from tinygrad_rl.compiler.guards import TraceError
from tinygrad_rl.core import Composite, from_numpy, Gather, Kernel, Op, Product, Reduction, Scatter
from tinygrad_rl.core import Tensor, View
from tinygrad_rl.creation import arange, eye, full, full_like, linspace, ones, ones_like, rand
from tinygrad_rl.creation import randint, randn, randperm, zeros, zeros_like
from tinygrad_rl.debug.anomaly import detect_anomaly
from tinygrad_rl.debug.checks import check_op, gradcheck, gradgradcheck
from tinygrad_rl.debug.contract import gradient_contract, GradientContractError
from tinygrad_rl.debug.flops import count_flops
from tinygrad_rl.debug.walkthrough import BackwardTrace, trace_backward
from tinygrad_rl.derive import DeriveError
from tinygrad_rl.explain.explanation import explain, Explanation
from tinygrad_rl.grad_mode import enable_grad, frozen, is_grad_enabled, no_grad, set_grad_enabled
from tinygrad_rl.io import load, save
from tinygrad_rl.kernels.pool import get_num_threads, set_num_threads
from tinygrad_rl.nn.functional import binary_cross_entropy_with_logits, cross_entropy, huber_loss
from tinygrad_rl.nn.functional import l1_loss, mse_loss, smooth_l1_loss
from tinygrad_rl.ops.define import elementwise, rowwise
from tinygrad_rl.ops.contraction import einsum
from tinygrad_rl.ops.activations import celu, elu, gelu, hardswish, hardtanh, leaky_relu, logsigmoid
from tinygrad_rl.ops.activations import mish, relu, selu, sigmoid, silu, softplus, softsign
from tinygrad_rl.ops.arithmetic import abs_ as abs, add, arccos, arcsin, arctan, ceil, clip, cos
from tinygrad_rl.ops.arithmetic import cosh, div as divide, equal, erf, exp, exp2, expm1, floor
from tinygrad_rl.ops.arithmetic import floor_divide, greater, greater_equal, lerp, less, less_equal
from tinygrad_rl.ops.arithmetic import log, log10, log1p, log2, logical_and, logical_not, logical_or
from tinygrad_rl.ops.arithmetic import maximum, minimum, mul as multiply, neg as negative, not_equal
from tinygrad_rl.ops.arithmetic import power as pow, power, reciprocal, remainder, round_ as round
from tinygrad_rl.ops.arithmetic import rsqrt, sign, sin, sinh, sqrt, square, sub as subtract, tan
from tinygrad_rl.ops.arithmetic import tanh, trunc, where
from tinygrad_rl.ops.index import flip, gather, repeat, take
from tinygrad_rl.ops.join import chunk, concatenate as cat, concatenate, pad, roll, split, stack
from tinygrad_rl.ops.join import tile
from tinygrad_rl.ops.products import diagonal, dot, linear, matmul, outer, trace, tril, triu
from tinygrad_rl.ops.reduce import all_ as all, any_ as any, argmax, argmin, cumsum, log_softmax
from tinygrad_rl.ops.reduce import logsumexp, max_ as max, mean, min_ as min, norm, prod, softmax
from tinygrad_rl.ops.reduce import std, sum_ as sum, var
from tinygrad_rl.ops.shape import astype, broadcast_to, copy, expand, expand_dims
from tinygrad_rl.ops.shape import expand_dims as unsqueeze, flatten, permute, ravel, reshape
from tinygrad_rl.ops.shape import squeeze, stop_gradient, swapaxes, transpose
from tinygrad_rl.spelling import door as _door
from tinygrad_rl.transforms import hessian, hvp, jacobian, jvp, value_and_grad, vjp

__version__ = "0.1.0"

# Tensors
__all__ = ["Tensor", "from_numpy", "zeros", "zeros_like", "ones", "ones_like", "full", "full_like"]
__all__ += ["eye", "arange", "linspace", "rand", "randn", "randint", "randperm"]
# Gradients
__all__ += ["grad", "no_grad", "enable_grad", "set_grad_enabled", "is_grad_enabled", "frozen"]
__all__ += ["stop_gradient"]
# Derivatives of functions
__all__ += ["value_and_grad", "vjp", "jvp", "jacobian", "hessian", "hvp"]
# Networks and training; the losses are those of `nn.functional`
__all__ += ["nn", "optim", "mse_loss", "l1_loss", "huber_loss", "smooth_l1_loss", "cross_entropy"]
__all__ += ["binary_cross_entropy_with_logits"]
# Compiled functions
__all__ += ["jit", "TraceError", "get_num_threads", "set_num_threads"]
# Where the gradient goes, and whether it is right
__all__ += ["explain", "Explanation", "trace_backward", "BackwardTrace", "gradient_contract"]
__all__ += ["GradientContractError", "detect_anomaly", "count_flops", "gradcheck", "gradgradcheck"]
# Declaring ops
__all__ += ["Op", "elementwise", "rowwise", "View", "Reduction", "Product", "Gather", "Scatter"]
__all__ += ["Kernel"]
__all__ += ["Composite", "DeriveError", "check_op"]
# Files
__all__ += ["save", "load", "files"]
# Arithmetic
__all__ += ["add", "subtract", "multiply", "divide", "floor_divide", "remainder", "power"]
__all__ += ["negative", "reciprocal", "square", "sqrt", "rsqrt", "abs", "sign", "lerp", "floor"]
__all__ += ["ceil", "round", "trunc", "clip", "maximum", "minimum"]
# Exponentials, logarithms, angles
__all__ += ["exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "erf", "sin", "cos", "tan"]
__all__ += ["arcsin", "arccos", "arctan", "sinh", "cosh", "tanh"]
# Comparisons
__all__ += ["equal", "not_equal", "less", "less_equal", "greater", "greater_equal", "logical_and"]
__all__ += ["logical_or", "logical_not", "where"]
# Activations
__all__ += ["relu", "leaky_relu", "elu", "celu", "selu", "gelu", "silu", "mish", "sigmoid"]
__all__ += ["logsigmoid", "softplus", "softsign", "hardtanh", "hardswish", "softmax", "log_softmax"]
# Reductions
__all__ += ["sum", "mean", "var", "std", "prod", "max", "min", "argmax", "argmin", "any", "all"]
__all__ += ["norm", "logsumexp", "cumsum"]
# Products and matrices
__all__ += ["matmul", "dot", "outer", "linear", "einsum", "trace", "diagonal", "tril", "triu"]
# Shapes and dtypes
__all__ += ["reshape", "flatten", "ravel", "transpose", "swapaxes", "squeeze", "expand_dims"]
__all__ += ["broadcast_to", "astype", "copy"]
# Parts, and putting together
__all__ += ["concatenate", "stack", "split", "chunk", "pad", "tile", "repeat", "roll", "flip"]
__all__ += ["take", "gather"]
# The few spellings of PyTorch that fingers type by themselves
__all__ += ["cat", "unsqueeze", "permute", "expand", "pow"]


def __dir__() -> list[str]:
    return __all__


_door(globals())
