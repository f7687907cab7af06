"""What somebody sees who handles the critic in one of the ways of `ddpg compare`, and where.

A paragraph of text for each case, with `code` in backticks; the numbers beside it in the report are
measured.
"""

SEEN: dict[str, str] = {
    "frozen": (
        "DDPG as it is meant. Spinning Up's DDPG switches `requires_grad` off on Q's parameters "
        "around the actor's loss, and RLlib's TQC was repaired in this way in 2026."
    ),
    "separate optimizers": (
        "The actor learns exactly as in the frozen case; only the work is larger, for gradients "
        "that are thrown away. It is the common form (CleanRL's DDPG). It stays right as long as "
        "they really are thrown away before the critic's next step: in RLlib's TQC the actor's "
        "loss leaked into the critics' `.grad`, and Q grew without bound. Spinning Up's TD3 and "
        "SAC end up here without wanting to: they freeze an iterator over Q's parameters that the "
        "optimizer has already exhausted, so nothing is frozen, and nobody is told."
    ),
    "chain rule by hand": (
        "The form of the paper (Lillicrap et al. 2015, equation 6), and of early implementations "
        "that asked for dQ/da and fed it into the actor. There are two backward passes: `grad` "
        "finds dQ/da and stops there, and the second, the one in the picture, starts at the "
        "action with it. The result is the frozen case's gradient, up to rounding."
    ),
    "grad w.r.t. the actor": (
        "The form of functional libraries such as JAX, where the gradient is asked for with "
        "respect to an argument. What is not asked for is not computed: nothing is frozen, yet the "
        "cost is that of the frozen case."
    ),
    "blocked action": (
        "No error and no warning. The critic keeps learning about an actor that never moves, "
        "losses look healthy, the return stays where it began. In PyTorch it is one `.detach()` "
        "too many, put there because it was to protect the critic."
    ),
    "blocked Q": (
        "The loss has no path to anything. PyTorch says that it does not require grad, and the "
        "advice found most often, `loss.requires_grad_(True)`, silences the error and trains "
        "nothing. Here it is an error in both cases, with the place of the cut."
    ),
    "one joint optimizer": (
        "The actor learns as before, and so does the critic: to call everything good. Reports "
        "come as 'Q explodes' or 'the critic's values are far above any possible return', and the "
        "learning rate or the reward scale is blamed."
    ),
    "frozen too late": (
        "Which inputs want a gradient is decided when they are used, in the forward pass. PyTorch "
        "leaves `.grad` at None and does all the work without a word; here there is a warning. The "
        "actor's gradient is right, the saving is lost."
    ),
}

ELSEWHERE: tuple[tuple[str, str], ...] = (
    ("leaked_gradient.py", "The actor's gradient is left in the critic and used by its next step."),
    ("target_not_stopped.py", "The TD target is no constant: the critic chases its own target."),
    ("step_before_backward.py", "Parameters change between a forward pass and its backward."),
    ("path_exactly_zero.py", "The path is there and carries zeros: saturated tanh, clipped Q."),
    ("misspelt_flag.py", "`required_grad = False`: accepted in PyTorch, refused here."),
    ("exhausted_generator.py", "An iterator over the parameters is used twice."),
    ("flag_on_the_loss.py", "`loss.requires_grad_(True)` on a loss without a path."),
)
"""Related mistakes, each a program in docs/cases with the symptom, the diagnosis and the fix."""
