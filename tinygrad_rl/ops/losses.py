"""Losses: means over all elements of what one pair costs."""

from tinygrad_rl.ops.define import builtin_rowwise

mse_loss = builtin_rowwise("mse_loss(input, target)", "mean((input - target) * (input - target))")
l1_loss = builtin_rowwise("l1_loss(input, target)", "mean(abs(input - target))")

_HALF_SQUARE, _SIZE = "0.5 * (input - target) * (input - target)", "abs(input - target)"
huber_loss = builtin_rowwise(
    "huber_loss(input, target, delta=1.0)",
    f"mean({_HALF_SQUARE} if {_SIZE} <= delta else delta * ({_SIZE} - 0.5 * delta))",
)
smooth_l1_loss = builtin_rowwise(
    "smooth_l1_loss(input, target, beta=1.0)",
    f"mean({_HALF_SQUARE} / beta if {_SIZE} < beta else {_SIZE} - 0.5 * beta)",
)

# -log of the probability that sigmoid(x) gives to a label t in [0, 1]; exact where it is tiny. The
# derivative of this text would be right too, except that its second order is wrong at x = 0.
binary_cross_entropy = builtin_rowwise(
    "binary_cross_entropy(x, t)",
    "mean(maximum(x, 0) - x * t + softplus(-abs(x)))",
    x="g * (sigmoid(x) - t) / n",
    t="-g * x / n",
)
