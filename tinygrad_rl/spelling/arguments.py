"""Arguments that PyTorch, NumPy, JAX or TensorFlow have, and what they are called here."""

import difflib
from collections.abc import Collection
from typing import Any

_RENAMED = {
    # which axis
    "dim": "axis axes axis1 normalized_shape",
    "dims": "axis axes",
    "axes": "axis",
    "axis": "axes axis1 normalized_shape",
    "dim0": "axis1 axes",
    "dim1": "axis2 axes",
    "axis0": "axis1",
    "keepdim": "keepdims",
    "keep_dims": "keepdims",
    "start_dim": "start",
    "end_dim": "end",
    # shapes and parts
    "size": "shape",
    "newshape": "shape",
    "sizes": "shape repeats reps",
    "shifts": "shift",
    "diagonal": "k offset",
    "offset": "k",
    "pad": "pad_width",
    "padding": "pad_width",
    "constant_values": "value",
    "fill_value": "value",
    "split_size": "sections",
    "split_size_or_sections": "sections",
    "indices_or_sections": "sections",
    "num_or_size_splits": "sections",
    "arrays": "tensors",
    "seq": "tensors",
    "values": "tensors",
    "indices": "index",
    "equation": "subscripts",
    # numbers
    "p": "ord",
    "min": "low",
    "max": "high",
    "a_min": "low",
    "a_max": "high",
    "end": "stop high",
    "steps": "num",
    "M": "m",
    "N": "n",
    "negative_slope": "slope",
    "correction": "ddof",
    "epsilon": "eps",
    # inputs
    "x": "input a data",
    "input": "x a data",
    "inputs": "x tensors",
    "other": "b",
    "x1": "a",
    "x2": "b",
    "y": "b target",
    "mat2": "b",
    "labels": "target",
    "y_true": "target",
    "y_pred": "input",
    "logits": "input x",
    # functions and their derivatives
    "f": "fn function",
    "fun": "fn function",
    "func": "fn function",
    "primals": "inputs",
    "args": "inputs",
    "tangents": "v",
    "vector": "v",
    "retain": "retain_graph",
    # networks and training
    "rng": "generator",
    "seed": "generator rng",
    "key": "generator rng",
    "random_state": "generator rng",
    "generator": "rng",
    "in_channels": "in_features",
    "out_channels": "out_features",
    "learning_rate": "lr",
    "parameters": "params",
    "b1": "betas",
    "b2": "betas",
    "beta1": "betas",
    "beta2": "betas",
    "use_bias": "bias",
    # files
    "file": "path",
    "filename": "path",
    "obj": "state data",
    "object": "data state",
    "array": "data",
    "state_dict": "state",
}
"""An argument of elsewhere, and what it may be called here: the first of these that there is."""

_CPU = "all tensors are in the processor's memory, so leave it out"
_ALREADY = "leave it out, what is no tensor among the arguments is a constant of the compiled form"
_COMPILE = "leave it out, and compile the step by tg.jit where speed counts"
_SIZES = "sizes come without a name, as in {name}(2, 3)"

_REFUSED = {
    "out": "the result is a new tensor, which `y.assign_(...)` writes into another",
    "dtype": 'write `x.astype("float64")` for x',
    "where": "write `tg.where(condition, x, 0)` for x",
    "initial": "leave it out",
    "device": _CPU,
    "map_location": _CPU,
    "pin_memory": _CPU,
    "non_blocking": _CPU,
    "memory_format": "leave it out, every op takes every layout",
    "layout": "leave it out, every op takes every layout",
    "order": "leave it out, elements are in C's order",
    "inplace": "leave it out, the result is a new tensor",
    "reduction": "a loss is the mean, so leave it out or multiply by the number of elements",
    "size_average": "a loss is the mean, so leave it out",
    "ignore_index": "take the rows that count before, as in x[mask]",
    "label_smoothing": "give probabilities as the target instead of class numbers",
    "unbiased": "write `ddof=1` for True and `ddof=0` for False",
    "size": _SIZES,
    "shape": _SIZES,
    "dims": "axes come without a name, as in {name}(1, 0)",
    "axes": "axes come without a name, as in {name}(1, 0)",
    "dim0": "write `x.swapaxes(0, 1)`, as {name}() takes all axes in their new order",
    "dim1": "write `x.swapaxes(0, 1)`, as {name}() takes all axes in their new order",
    "static_argnums": _ALREADY,
    "static_argnames": _ALREADY,
    "donate_argnums": "leave it out, what the function changes it changes in place",
    "fullgraph": "leave it out, a function is compiled as a whole or refused",
    "dynamic": "leave it out, other shapes are compiled anew",
    "backend": "leave it out, there is one compiler",
    "argnums": "close over the other inputs, as in lambda x: f(x, other)",
    "has_aux": "return the value alone",
    "is_grads_batched": "write `tg.jacobian(f, x)`",
    "only_inputs": "leave it out, only the gradients of the inputs are computed",
    "strict": "leave it out, everything has to fit",
    "set_to_none": "leave it out, gradients are always set to None",
    "weights_only": "leave it out, a file never runs code",
    "amsgrad": "leave it out, Adam is as it was published",
    "foreach": _COMPILE,
    "fused": _COMPILE,
    "capturable": "leave it out, every step can be compiled",
    "differentiable": "leave it out, a step is never recorded",
    "maximize": "step on the negative of the objective",
    "dampening": "leave it out, momentum adds the whole gradient",
    "closure": "compute the loss and call backward() before it",
    "norm_type": "leave it out, the norm is the 2-norm",
    "error_if_nonfinite": "look at the norm that it returns",
    "elementwise_affine": "leave it out, weight and bias are always there",
    "recurse": "leave it out, the modules inside are always part",
    "momentum": "leave it out, or take tg.optim.SGD",
}
"""An argument of elsewhere that there is no name for, and what to do."""

_PAIR = "write `axis=` for the values, and `x.arg{name}(axis=1)` for where they are"
_OF_ONE = {("max", "dim"): _PAIR, ("min", "dim"): _PAIR}
"""The same, for one function."""

_MISSING = {
    "generator": "write `tg.{name}(2, 3, generator=np.random.default_rng(0))`, as there is no "
    "hidden random state",
    "function": "write `@tg.{name}` without parentheses, or `tg.{name}(f)`",
}
_IS_CALLED = {
    "grad": "write `tg.grad(loss, [x])` for tensors, or `tg.value_and_grad(f, x)` for a function",
    **{
        name: f"write `tg.{name}(f, x)`, not `tg.{name}(f)(x)`"
        for name in ("value_and_grad", "vjp", "jacobian", "hessian")
    },
    **{name: f"write `tg.{name}(f, x, v)`, not `tg.{name}(f)(x)`" for name in ("jvp", "hvp")},
    **{name: f"write `tg.{name}(f, (x,))`" for name in ("gradcheck", "gradgradcheck")},
    **{
        name: f"write `tg.{name}([x, y])`, the tensors in a list"
        for name in ("concatenate", "stack")
    },
    **{name: f"write `tg.{name}((2, 3), 7.0)`" for name in ("full", "full_like")},
    "explain": "write `tg.explain(f, x)`",
    "jit": "write `tg.jit(f)` for a function `f` of tensors, and call that",
    "elementwise": "write `@tg.elementwise` above the `def` of a function of numbers",
    "save": 'write `tg.save("model.safetensors", state)`',
    "load": 'write `tg.load("model.safetensors")`, and `module.load_state_dict(state)` to use it',
    "step": "compute the loss and call backward() before it, and write `optimizer.step()`",
}
"""How a function is called, where the number of arguments is wrong."""


def argument(name: str, keyword: str, known: Collection[str]) -> str | None:
    """What to write instead of an argument that `name` does not have, if anybody knows."""
    if way := _OF_ONE.get((name, keyword)):
        return way.format(name=name)
    if real := next((r for r in _RENAMED.get(keyword, "").split() if r in known), None):
        return f"write `{real}=`"
    if keyword in _REFUSED:
        return _REFUSED[keyword].format(name=name)
    near = difflib.get_close_matches(keyword, known, 1, 0.65)
    return f"write `{near[0]}=`" if near else None


def misspelt(name: str, keyword: str, known: Collection[str], takes: str) -> TypeError:
    """For a keyword that the function `name` does not have; `takes` is its signature."""
    way = argument(name, keyword, known) or f"its arguments are {takes}"
    return TypeError(f"{name}() has no argument {keyword!r}: {way}")


def missing(name: str, parameter: str, takes: str) -> TypeError:
    """For an argument that has to be given."""
    way = _IS_CALLED.get(name) or _MISSING.get(parameter, "").format(name=name)
    return TypeError(f"{name}() needs {parameter!r}: {way or f'its arguments are {takes}'}")


def misplaced(name: str, what: str, given: object) -> TypeError:
    """For another first argument than the function, list or path that it is."""
    way = _IS_CALLED[name].partition(", not ")[0]
    return TypeError(f"{name}() takes {what}, not {kind(given)}: {way}")


def kind(value: object) -> str:
    """What something is, for a sentence: a Tensor, an int, None, the class Linear."""
    if value is None:
        return "None"
    if isinstance(value, type):
        return f"the class {value.__name__}"
    return with_article(type(value).__name__)


def with_article(noun: object) -> str:
    """`an int64`, `a float32`, `a uint8`, `an ndarray`: as it is spoken."""
    word = str(noun)
    an = word == "ndarray" or (word[0] in "aeiouAEIOU" and not word.startswith("uint"))
    return f"{'an' if an else 'a'} {word}"


def counted(number: int, noun: str) -> str:
    """`1 entry`, `2 entries`, `1,000 axes`: how many there are of something, for a sentence."""
    if number == 1:
        return f"1 {noun}"
    if noun.endswith("is"):
        return f"{number:,} {noun[:-2]}es"
    return f"{number:,} {noun[:-1]}ies" if noun.endswith("ry") else f"{number:,} {noun}s"


def no_number_in(data: Any) -> str:
    """The start of a sentence on data that no tensor can hold: what in it is to blame."""
    if isinstance(data, (list, tuple)):
        return next(filter(None, map(no_number_in, data)), "")
    is_number = isinstance(data, (int, float)) or getattr(data, "dtype", None) is not None
    return "" if is_number else f"{kind(data)} can't be in a tensor: "


def too_many(name: str, takes: str) -> TypeError:
    """For more arguments than there are."""
    way = _IS_CALLED.get(name) or f"its arguments are {takes}"
    return TypeError(f"too many arguments for {name}(): {way}")
