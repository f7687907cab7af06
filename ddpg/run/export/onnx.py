"""A policy as an ONNX model: "observation" (batch, obs_dim) in, "action" (batch, act_dim) out.

Needs the package `onnx`, an extra of this one; whoever runs the model needs a runtime alone.
"""

from pathlib import Path

import numpy as np

from ddpg.errors import UsageError
from ddpg.run.export.policy import LIMIT, Policy

OPSET, IR_VERSION = 13, 7
"""Of the year 2020: whatever runs ONNX today takes them, and no op here has changed since."""


def encode(policy: Policy) -> bytes:
    """The model, its weights inside.

    Raises
    ------
    UsageError : if the package `onnx` is not installed.
    """
    try:
        from onnx import TensorProto, helper, numpy_helper
    except ImportError as error:
        raise UsageError(
            f"--to onnx needs the package onnx ({error}): pip install 'tinygrad-rl[onnx]'"
        ) from error

    arrays, value, last, nodes = policy.arrays(), "observation", len(policy.weights) - 1, []
    if "mean" in arrays:
        arrays |= {"lowest": np.array(-LIMIT, np.float32), "highest": np.array(LIMIT, np.float32)}
        nodes += [
            helper.make_node("Sub", [value, "mean"], ["deviation"]),
            helper.make_node("Mul", ["deviation", "inverse_std"], ["in_stds"]),
            helper.make_node("Max", ["in_stds", "lowest"], ["at_least_lowest"]),
            helper.make_node("Min", ["at_least_lowest", "highest"], ["normalized"]),
        ]
        value = "normalized"
    for k in range(len(policy.weights)):
        inputs = [value, f"weight_{k}", f"bias_{k}"]
        nodes.append(helper.make_node("Gemm", inputs, [f"linear_{k}"], transB=1))
        value = f"linear_{k}"
        if k < last:
            nodes.append(helper.make_node("Relu", [value], [f"hidden_{k}"]))
            value = f"hidden_{k}"
    nodes += [
        helper.make_node("Tanh", [value], ["tanh"]),
        helper.make_node("Mul", ["half", "tanh"], ["reach"]),
        helper.make_node("Add", ["center", "reach"], ["unclipped"]),
        # Not Clip, which takes one bound for all dimensions.
        helper.make_node("Max", ["unclipped", "low"], ["at_least_low"]),
        helper.make_node("Min", ["at_least_low", "high"], ["action"]),
    ]
    sizes = {"observation": policy.obs_dim, "action": policy.act_dim}
    layout = {"observation": "\n".join(policy.layout_lines())}
    ends = [
        helper.make_tensor_value_info(
            name, TensorProto.FLOAT, ["batch", size], layout.get(name, "")
        )
        for name, size in sizes.items()
    ]
    constants = [numpy_helper.from_array(array, name) for name, array in arrays.items()]
    about = f"The deterministic policy of a DDPG run in {policy.env_id}, in its units."
    graph = helper.make_graph(nodes, "policy", ends[:1], ends[1:], constants, doc_string=about)
    opset = helper.make_opsetid("", OPSET)
    model = helper.make_model(
        graph, opset_imports=[opset], ir_version=IR_VERSION, producer_name="ddpg"
    )
    encoded: bytes = model.SerializeToString()
    return encoded


def usage(path: Path) -> str:
    """How the file is used, in one line."""
    return (
        f"to use it: onnxruntime.InferenceSession({str(path)!r})"
        ".run(None, {'observation': float32_rows})[0]"
    )
