"""What DDPG and TD3 reach, beside what others published: the studies behind docs/results.md.

    python -m benchmarks.studies              # all runs that are missing: a day on one core
    python -m benchmarks.studies small        # one study
    python -m benchmarks.studies --collect    # no run: what there is so far

Each study is one command, `ddpg study` with the words below, and may be stopped at any time. What
its runs came to is gathered into benchmarks/results/studies/, which is under version control, and
from where another machine goes on; the tables of the page are printed, and the picture of the
MuJoCo tasks is drawn.
"""

STUDIES = {
    "pendulum": "--env-ids Pendulum-v1 --seeds 5 --eval-episodes 100",
    "small": (
        "--env-ids MountainCarContinuous-v0 InvertedPendulum-v5 InvertedDoublePendulum-v5"
        " LunarLanderContinuous-v3 --seeds 5"
    ),
    "double-pendulum": (
        "--env-ids InvertedDoublePendulum-v5 --set warmup_steps=1_000,5_000 --seeds 10"
    ),
    "reacher": (
        "--env-ids Reacher-v5 --set warmup_steps=1_000,25_000 --seeds 5 --total-timesteps 50_000"
    ),
    "mujoco": (
        "--env-ids HalfCheetah-v5 Hopper-v5 Walker2d-v5 Ant-v5 --set algorithm=ddpg,td3 --seeds 3"
        " --total-timesteps 300_000 --preset none --hidden 400 300 --batch-size 100"
        " --actor-lr 1e-3 --critic-lr 1e-3 --tau 0.005 --warmup-steps 10_000 --eval-every 5_000"
    ),
}
"""All but the last begin with the presets; of Pendulum it matters much where an episode begins. The
last one has the settings of Fujimoto et al. 2018 for "Our DDPG" and TD3 alike, but for the warm-up:
theirs is 10,000 for HalfCheetah and Ant, 1,000 elsewhere.
"""


def command(name: str) -> str:
    """What makes a study anew, wherever ddpg is installed."""
    return f"ddpg study {STUDIES[name]} --study-dir studies/{name}"
