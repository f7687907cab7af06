"""A policy as one file of C99: no heap, no state, nothing but `tanhf` from the mathematics library.

The weights stand in it as constants, in as many digits as float32 needs to come back exactly.
"""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ddpg.errors import counted
from ddpg.run.export.policy import LIMIT, Policy

PER_LINE = 6
"""Numbers in a line of at most 100 characters."""

_PROTOTYPE = "void policy(const float *observation, float *action)"

_FUNCTIONS = """\
/* y = weight x + bias, where weight has a row for each element of y.
 * The sum is a double: in float, what is lost over hundreds of terms would show in the action. */
static void linear(const float *weight, const float *bias, int inputs, int outputs,
                   const float *x, float *y)
{
    for (int i = 0; i < outputs; i++) {
        double sum = bias[i];
        for (int j = 0; j < inputs; j++)
            sum += (double)*weight++ * x[j];
        y[i] = (float)sum;
    }
}

/* x = max(x, 0), where a NaN stays one. */
static void relu(float *x, int size)
{
    for (int i = 0; i < size; i++)
        if (x[i] < 0.0f)
            x[i] = 0.0f;
}
"""

_NORMALIZE = f"""\
    for (int i = 0; i < POLICY_OBSERVATION_SIZE; i++) {{
        normalized[i] = (observation[i] - mean[i]) * inverse_std[i];
        if (normalized[i] < -{LIMIT}f)
            normalized[i] = -{LIMIT}f;
        if (normalized[i] > {LIMIT}f)
            normalized[i] = {LIMIT}f;
    }}"""

_ENDING = """\

    for (int i = 0; i < POLICY_ACTION_SIZE; i++) {
        action[i] = center[i] + half[i] * tanhf(action[i]);
        if (action[i] < low[i])
            action[i] = low[i];
        if (action[i] > high[i])
            action[i] = high[i];
    }
}
"""


def encode(policy: Policy) -> bytes:
    """The source, with a comment on top that says what it computes and how to compile it."""
    arrays = policy.arrays().items()
    parts = [
        _comment(policy),
        "#include <math.h>\n",
        f"#define POLICY_OBSERVATION_SIZE {policy.obs_dim}\n"
        f"#define POLICY_ACTION_SIZE {policy.act_dim}\n",
        f"{_PROTOTYPE};\n",
        *("\n".join(_constants(name, array)) for name, array in arrays),
        _FUNCTIONS,
        "\n".join(_layers(policy)) + "\n" + _ENDING,
    ]
    return "\n".join(parts).encode("ascii")


def usage(path: Path) -> str:
    """How the file is used, in one line."""
    compiled = f"cc -std=c99 -O2 main.c {shlex.quote(str(path))} -lm"
    return f"to use it, declare {_PROTOTYPE}; and compile: {compiled}"


def _comment(policy: Policy) -> str:
    # The id is anybody's text, and must not end the comment.
    env_id = re.sub(r"[^\w.:/+-]", "_", policy.env_id, flags=re.ASCII)
    constants = 4 * sum(array.size for array in policy.arrays().values())
    stack = 4 * sum(len(bias) for bias in policy.biases[:-1])
    if policy.mean is not None:
        stack += 4 * policy.obs_dim
    bounds = zip(policy.low, policy.high, strict=True)
    lines = [
        f"The deterministic policy of a DDPG run in {env_id}:",
        "",
        "    action = center + half * tanh(network(observation)), clipped to low and high",
        "",
        *_observation(policy),
        f"action: POLICY_ACTION_SIZE ({policy.act_dim}) floats, in the environment's units, each "
        "inside its bounds:",
        "",
        *(f"    action[{i}]  {low} to {high}" for i, (low, high) in enumerate(bounds)),
        "",
        "To compile it with a program that has the line",
        "",
        f"    {_PROTOTYPE};",
        "",
        "    cc -std=c99 -O2 main.c policy.c -lm",
        "",
        f"It has {counted(constants, 'byte')} of constants, takes {counted(stack, 'byte')} of the "
        "stack, and keeps nothing between calls.",
        "A NaN in the observation makes the actions NaN.",
    ]
    return "\n".join(["/*", *(f" * {line}".rstrip() for line in lines), " */", ""])


def _observation(policy: Policy) -> Iterator[str]:
    if policy.mean is not None:
        yield "where the network sees the observation normalised:"
        yield ""
        yield f"    clip((observation - mean) * inverse_std, -{LIMIT:g}, {LIMIT:g})"
        yield ""
    size = f"POLICY_OBSERVATION_SIZE ({policy.obs_dim}) floats"
    if not policy.layout:
        yield f"observation: {size}, as the environment gives them, in its units."
        return
    yield f"observation: {size}, in the environment's units:"
    yield ""
    for line in policy.layout_lines():  # names are anybody's text, too
        yield "    " + re.sub(r"[^\w.() \[\]-]", "_", line, flags=re.ASCII)
    yield ""


def _constants(name: str, array: np.ndarray) -> Iterator[str]:
    """A table; each row of a matrix begins a line."""
    size = " * ".join(map(str, array.shape))
    yield f"static const float {name}[{size}] = {{"
    for row in np.atleast_2d(array):
        numbers = [str(x) + "f" for x in row]  # by str, a float32's shortest digits
        for start in range(0, len(numbers), PER_LINE):
            yield f"    {', '.join(numbers[start : start + PER_LINE])},"
    yield "};\n"


def _layers(policy: Policy) -> Iterator[str]:
    """The function up to what comes out of the last layer."""
    *hidden, last = [len(bias) for bias in policy.biases]
    yield _PROTOTYPE
    yield "{"
    value, inputs = "observation", policy.obs_dim
    if policy.mean is not None:
        value = "normalized"
        yield f"    float normalized[{inputs}];"
    for k, size in enumerate(hidden):
        yield f"    float hidden_{k}[{size}];"
    yield ""
    if policy.mean is not None:
        yield _NORMALIZE
    for k, size in enumerate(hidden):
        yield f"    linear(weight_{k}, bias_{k}, {inputs}, {size}, {value}, hidden_{k});"
        yield f"    relu(hidden_{k}, {size});"
        value, inputs = f"hidden_{k}", size
    k = len(hidden)
    yield f"    linear(weight_{k}, bias_{k}, {inputs}, {last}, {value}, action);"
