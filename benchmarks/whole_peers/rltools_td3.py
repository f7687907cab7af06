"""TD3 of RLtools, C++ that it compiles for these sizes when they are new; on a Python environment.

It reads the number of threads from `MKL_NUM_THREADS`.
"""

import gymnasium
from gymnasium.wrappers import RescaleAction
from rltools import TD3

from . import GAMMA, LEARNING_RATE, NOISE, TAU, read_flags


def main() -> None:
    """Run."""
    flags = read_flags()
    (units,) = set(flags.hidden)
    # Without these two it learns from step 100 on, whatever the warm-up. They are no parameters of
    # its Python interface, which puts the values that it is given into a C++ header as they are.
    learns_late = "".join(
        f"; static constexpr TI N_WARMUP_STEPS_{network} = {flags.warmup}"
        for network in ("ACTOR", "CRITIC")
    )
    module = TD3(
        lambda: RescaleAction(gymnasium.make(flags.env_id), -1, 1),
        interface_name=f"tinygrad_rl_{units}_{flags.batch}",
        enable_evaluation=False,
        GAMMA=GAMMA,
        ACTOR_POLYAK=1 - TAU,
        CRITIC_POLYAK=1 - TAU,
        OPTIMIZER_ALPHA=LEARNING_RATE,
        EXPLORATION_NOISE=NOISE,
        ACTOR_BATCH_SIZE=flags.batch,
        CRITIC_BATCH_SIZE=flags.batch,
        ACTOR_HIDDEN_DIM=units,
        CRITIC_HIDDEN_DIM=units,
        ACTOR_NUM_LAYERS=3,  # as it counts them: two hidden ones
        CRITIC_NUM_LAYERS=3,
        STEP_LIMIT=flags.steps,
        N_WARMUP_STEPS=f"{flags.warmup}{learns_late}",
    )
    state = module.State(0)
    for _ in range(flags.steps):
        state.step()


if __name__ == "__main__":
    main()
