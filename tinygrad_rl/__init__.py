"""tinygrad_rl: a small reverse-mode autograd engine on Numba kernels.

import tinygrad_rl as tg

x = tg.Tensor([1.0, 2.0], requires_grad=True)
(x * x).sum().backward()
x.grad                                # 2x
"""

from tinygrad_rl import files as files
from tinygrad_rl import nn as nn
from tinygrad_rl import optim as optim
from tinygrad_rl.autodiff import grad as grad
from tinygrad_rl.compiler import jit as jit
from tinygrad_rl.compiler.tracing import TraceError as TraceError
from tinygrad_rl.core import Op as Op
from tinygrad_rl.core import Tensor as Tensor
from tinygrad_rl.core import from_numpy as from_numpy
from tinygrad_rl.creation import arange as arange
from tinygrad_rl.creation import eye as eye
from tinygrad_rl.creation import full as full
from tinygrad_rl.creation import full_like as full_like
from tinygrad_rl.creation import linspace as linspace
from tinygrad_rl.creation import ones as ones
from tinygrad_rl.creation import ones_like as ones_like
from tinygrad_rl.creation import rand as rand
from tinygrad_rl.creation import randint as randint
from tinygrad_rl.creation import randn as randn
from tinygrad_rl.creation import randperm as randperm
from tinygrad_rl.creation import zeros as zeros
from tinygrad_rl.creation import zeros_like as zeros_like
from tinygrad_rl.debug.anomaly import detect_anomaly as detect_anomaly
from tinygrad_rl.debug.checks import check_op as check_op
from tinygrad_rl.debug.checks import gradcheck as gradcheck
from tinygrad_rl.debug.checks import gradgradcheck as gradgradcheck
from tinygrad_rl.debug.contract import GradientContractError as GradientContractError
from tinygrad_rl.debug.contract import gradient_contract as gradient_contract
from tinygrad_rl.debug.flops import count_flops as count_flops
from tinygrad_rl.debug.walkthrough import Trace as Trace
from tinygrad_rl.debug.walkthrough import trace_backward as trace_backward
from tinygrad_rl.derive import DeriveError as DeriveError
from tinygrad_rl.explain.explanation import Explanation as Explanation
from tinygrad_rl.explain.explanation import explain as explain
from tinygrad_rl.grad_mode import enable_grad as enable_grad
from tinygrad_rl.grad_mode import frozen as frozen
from tinygrad_rl.grad_mode import is_grad_enabled as is_grad_enabled
from tinygrad_rl.grad_mode import no_grad as no_grad
from tinygrad_rl.grad_mode import set_grad_enabled as set_grad_enabled
from tinygrad_rl.io import load as load
from tinygrad_rl.io import save as save
from tinygrad_rl.kernels.pool import get_num_threads as get_num_threads
from tinygrad_rl.kernels.pool import set_num_threads as set_num_threads
from tinygrad_rl.nn.functional import (
    binary_cross_entropy_with_logits as binary_cross_entropy_with_logits,
)
from tinygrad_rl.nn.functional import cross_entropy as cross_entropy
from tinygrad_rl.nn.functional import huber_loss as huber_loss
from tinygrad_rl.nn.functional import l1_loss as l1_loss
from tinygrad_rl.nn.functional import mse_loss as mse_loss
from tinygrad_rl.nn.functional import smooth_l1_loss as smooth_l1_loss
from tinygrad_rl.ops.define import elementwise as elementwise
from tinygrad_rl.ops.einsum import einsum as einsum
from tinygrad_rl.ops.elementwise import abs_ as abs
from tinygrad_rl.ops.elementwise import add as add
from tinygrad_rl.ops.elementwise import arccos as arccos
from tinygrad_rl.ops.elementwise import arcsin as arcsin
from tinygrad_rl.ops.elementwise import arctan as arctan
from tinygrad_rl.ops.elementwise import ceil as ceil
from tinygrad_rl.ops.elementwise import celu as celu
from tinygrad_rl.ops.elementwise import clip as clip
from tinygrad_rl.ops.elementwise import cos as cos
from tinygrad_rl.ops.elementwise import cosh as cosh
from tinygrad_rl.ops.elementwise import div as divide
from tinygrad_rl.ops.elementwise import elu as elu
from tinygrad_rl.ops.elementwise import equal as equal
from tinygrad_rl.ops.elementwise import erf as erf
from tinygrad_rl.ops.elementwise import exp as exp
from tinygrad_rl.ops.elementwise import exp2 as exp2
from tinygrad_rl.ops.elementwise import expm1 as expm1
from tinygrad_rl.ops.elementwise import floor as floor
from tinygrad_rl.ops.elementwise import floor_divide as floor_divide
from tinygrad_rl.ops.elementwise import gelu as gelu
from tinygrad_rl.ops.elementwise import greater as greater
from tinygrad_rl.ops.elementwise import greater_equal as greater_equal
from tinygrad_rl.ops.elementwise import hardswish as hardswish
from tinygrad_rl.ops.elementwise import hardtanh as hardtanh
from tinygrad_rl.ops.elementwise import leaky_relu as leaky_relu
from tinygrad_rl.ops.elementwise import lerp as lerp
from tinygrad_rl.ops.elementwise import less as less
from tinygrad_rl.ops.elementwise import less_equal as less_equal
from tinygrad_rl.ops.elementwise import log as log
from tinygrad_rl.ops.elementwise import log1p as log1p
from tinygrad_rl.ops.elementwise import log2 as log2
from tinygrad_rl.ops.elementwise import log10 as log10
from tinygrad_rl.ops.elementwise import logical_and as logical_and
from tinygrad_rl.ops.elementwise import logical_not as logical_not
from tinygrad_rl.ops.elementwise import logical_or as logical_or
from tinygrad_rl.ops.elementwise import logsigmoid as logsigmoid
from tinygrad_rl.ops.elementwise import maximum as maximum
from tinygrad_rl.ops.elementwise import minimum as minimum
from tinygrad_rl.ops.elementwise import mish as mish
from tinygrad_rl.ops.elementwise import mul as multiply
from tinygrad_rl.ops.elementwise import neg as negative
from tinygrad_rl.ops.elementwise import not_equal as not_equal
from tinygrad_rl.ops.elementwise import power as pow
from tinygrad_rl.ops.elementwise import power as power
from tinygrad_rl.ops.elementwise import reciprocal as reciprocal
from tinygrad_rl.ops.elementwise import relu as relu
from tinygrad_rl.ops.elementwise import remainder as remainder
from tinygrad_rl.ops.elementwise import round_ as round
from tinygrad_rl.ops.elementwise import rsqrt as rsqrt
from tinygrad_rl.ops.elementwise import selu as selu
from tinygrad_rl.ops.elementwise import sigmoid as sigmoid
from tinygrad_rl.ops.elementwise import sign as sign
from tinygrad_rl.ops.elementwise import silu as silu
from tinygrad_rl.ops.elementwise import sin as sin
from tinygrad_rl.ops.elementwise import sinh as sinh
from tinygrad_rl.ops.elementwise import softplus as softplus
from tinygrad_rl.ops.elementwise import softsign as softsign
from tinygrad_rl.ops.elementwise import sqrt as sqrt
from tinygrad_rl.ops.elementwise import square as square
from tinygrad_rl.ops.elementwise import sub as subtract
from tinygrad_rl.ops.elementwise import tan as tan
from tinygrad_rl.ops.elementwise import tanh as tanh
from tinygrad_rl.ops.elementwise import trunc as trunc
from tinygrad_rl.ops.elementwise import where as where
from tinygrad_rl.ops.index import flip as flip
from tinygrad_rl.ops.index import gather as gather
from tinygrad_rl.ops.index import repeat as repeat
from tinygrad_rl.ops.index import take as take
from tinygrad_rl.ops.join import chunk as chunk
from tinygrad_rl.ops.join import concatenate as cat
from tinygrad_rl.ops.join import concatenate as concatenate
from tinygrad_rl.ops.join import pad as pad
from tinygrad_rl.ops.join import roll as roll
from tinygrad_rl.ops.join import split as split
from tinygrad_rl.ops.join import stack as stack
from tinygrad_rl.ops.join import tile as tile
from tinygrad_rl.ops.linear import diagonal as diagonal
from tinygrad_rl.ops.linear import dot as dot
from tinygrad_rl.ops.linear import linear as linear
from tinygrad_rl.ops.linear import matmul as matmul
from tinygrad_rl.ops.linear import outer as outer
from tinygrad_rl.ops.linear import trace as trace
from tinygrad_rl.ops.linear import tril as tril
from tinygrad_rl.ops.linear import triu as triu
from tinygrad_rl.ops.reduce import all_ as all
from tinygrad_rl.ops.reduce import any_ as any
from tinygrad_rl.ops.reduce import argmax as argmax
from tinygrad_rl.ops.reduce import argmin as argmin
from tinygrad_rl.ops.reduce import cumsum as cumsum
from tinygrad_rl.ops.reduce import log_softmax as log_softmax
from tinygrad_rl.ops.reduce import logsumexp as logsumexp
from tinygrad_rl.ops.reduce import max_ as max
from tinygrad_rl.ops.reduce import mean as mean
from tinygrad_rl.ops.reduce import min_ as min
from tinygrad_rl.ops.reduce import norm as norm
from tinygrad_rl.ops.reduce import prod as prod
from tinygrad_rl.ops.reduce import softmax as softmax
from tinygrad_rl.ops.reduce import std as std
from tinygrad_rl.ops.reduce import sum_ as sum
from tinygrad_rl.ops.reduce import var as var
from tinygrad_rl.ops.shape import astype as astype
from tinygrad_rl.ops.shape import broadcast_to as broadcast_to
from tinygrad_rl.ops.shape import copy as copy
from tinygrad_rl.ops.shape import expand as expand
from tinygrad_rl.ops.shape import expand_dims as expand_dims
from tinygrad_rl.ops.shape import expand_dims as unsqueeze
from tinygrad_rl.ops.shape import flatten as flatten
from tinygrad_rl.ops.shape import permute as permute
from tinygrad_rl.ops.shape import ravel as ravel
from tinygrad_rl.ops.shape import reshape as reshape
from tinygrad_rl.ops.shape import squeeze as squeeze
from tinygrad_rl.ops.shape import stop_gradient as stop_gradient
from tinygrad_rl.ops.shape import swapaxes as swapaxes
from tinygrad_rl.ops.shape import transpose as transpose
from tinygrad_rl.transforms import hessian as hessian
from tinygrad_rl.transforms import hvp as hvp
from tinygrad_rl.transforms import jacobian as jacobian
from tinygrad_rl.transforms import jvp as jvp
from tinygrad_rl.transforms import value_and_grad as value_and_grad
from tinygrad_rl.transforms import vjp as vjp

__all__ = [
    "DeriveError",
    "Explanation",
    "GradientContractError",
    "Op",
    "Tensor",
    "Trace",
    "TraceError",
    "abs",
    "add",
    "all",
    "any",
    "arange",
    "arccos",
    "arcsin",
    "arctan",
    "argmax",
    "argmin",
    "astype",
    "binary_cross_entropy_with_logits",
    "broadcast_to",
    "cat",
    "ceil",
    "celu",
    "check_op",
    "chunk",
    "clip",
    "concatenate",
    "copy",
    "cos",
    "cosh",
    "count_flops",
    "cross_entropy",
    "cumsum",
    "detect_anomaly",
    "diagonal",
    "divide",
    "dot",
    "einsum",
    "elementwise",
    "elu",
    "enable_grad",
    "equal",
    "erf",
    "exp",
    "exp2",
    "expand",
    "expand_dims",
    "explain",
    "expm1",
    "eye",
    "flatten",
    "flip",
    "floor",
    "floor_divide",
    "from_numpy",
    "frozen",
    "full",
    "full_like",
    "gather",
    "gelu",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "get_num_threads",
    "gradient_contract",
    "greater",
    "greater_equal",
    "hardswish",
    "hardtanh",
    "hessian",
    "huber_loss",
    "hvp",
    "is_grad_enabled",
    "jacobian",
    "jit",
    "jvp",
    "l1_loss",
    "leaky_relu",
    "lerp",
    "less",
    "less_equal",
    "linear",
    "linspace",
    "load",
    "log",
    "log10",
    "log1p",
    "log2",
    "log_softmax",
    "logical_and",
    "logical_not",
    "logical_or",
    "logsigmoid",
    "logsumexp",
    "matmul",
    "max",
    "maximum",
    "mean",
    "min",
    "minimum",
    "mish",
    "mse_loss",
    "multiply",
    "negative",
    "nn",
    "no_grad",
    "norm",
    "not_equal",
    "ones",
    "ones_like",
    "optim",
    "outer",
    "pad",
    "permute",
    "pow",
    "power",
    "prod",
    "rand",
    "randint",
    "randn",
    "randperm",
    "ravel",
    "reciprocal",
    "relu",
    "remainder",
    "repeat",
    "reshape",
    "roll",
    "round",
    "rsqrt",
    "save",
    "selu",
    "set_grad_enabled",
    "set_num_threads",
    "sigmoid",
    "sign",
    "silu",
    "sin",
    "sinh",
    "smooth_l1_loss",
    "softmax",
    "softplus",
    "softsign",
    "split",
    "sqrt",
    "square",
    "squeeze",
    "stack",
    "std",
    "stop_gradient",
    "subtract",
    "sum",
    "swapaxes",
    "take",
    "tan",
    "tanh",
    "tile",
    "trace",
    "trace_backward",
    "transpose",
    "tril",
    "triu",
    "trunc",
    "unsqueeze",
    "value_and_grad",
    "var",
    "vjp",
    "where",
    "zeros",
    "zeros_like",
]
