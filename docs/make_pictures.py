"""Draw the pictures of the pages: `python docs/make_pictures.py` writes docs/pictures/*.

Those of gradients are drawn anew; critics.png shows the numbers in docs/critics.json, and
docs/compare.png, on the README's first page, those in docs/compare.json.
"""

import json
from pathlib import Path

import numpy as np

import tinygrad_rl as tg
from ddpg.compare import show
from ddpg.compare.critics.measure import Moment, Opinion
from ddpg.compare.critics.show import Runs, save_picture
from ddpg.compare.critics.training import Course
from ddpg.compare.training import Curve

FOLDER = Path(__file__).parent / "pictures"
NUMBERS = Path(__file__).parent / "critics.json"
TRAINING = Path(__file__).parent / "compare.json"

rng = np.random.default_rng(0)
actor = tg.nn.MLP((3, 64, 64, 1), rng=rng)
critic = tg.nn.MLP((4, 64, 64, 1), rng=rng)
obs = tg.Tensor(rng.normal(size=(32, 3)).astype(np.float32))


def frozen():
    """Draw what is meant: through the critic, to the actor."""
    action = actor(obs).tanh()
    with tg.frozen(critic):
        q = critic(tg.concatenate([obs, action], axis=1))
    return -q.mean()


def nothing_frozen():
    """Draw the same gradient, and one more for the critic."""
    action = actor(obs).tanh()
    q = critic(tg.concatenate([obs, action], axis=1))
    return -q.mean()


def blocked_action():
    """Draw the cut between actor and critic."""
    action = actor(obs).tanh()
    q = critic(tg.concatenate([obs, action.detach()], axis=1))
    return -q.mean()


def blocked_q():
    """Draw the cut behind the critic."""
    action = actor(obs).tanh()
    with tg.no_grad():
        q = critic(tg.concatenate([obs, action], axis=1))
    return -q.mean()


def pictures() -> dict[str, str]:
    """All pictures: name of the file, SVG text."""
    wanted = {
        "frozen": (frozen, "layer"),
        "nothing_frozen": (nothing_frozen, "module"),
        "blocked_action": (blocked_action, "module"),
        "blocked_q": (blocked_q, "module"),
    }
    return {f"{name}.svg": tg.explain(fn).svg(detail) for name, (fn, detail) in wanted.items()}


def curves() -> dict[str, Curve]:
    """What `ddpg compare --json` has written, the part about training, as it was before."""
    variants = json.loads(TRAINING.read_text("utf-8"))["variants"]
    return {name: Curve(**found) for name, found in variants.items()}


def runs_of_critics() -> Runs:
    """What `ddpg compare --critics --report out --json` has written, as it was before."""
    variants = json.loads(NUMBERS.read_text("utf-8"))["variants"]
    return {name: [course(**run) for run in found["runs"]] for name, found in variants.items()}


def course(steps: list[int], moments: list[dict], returns: list[float]) -> Course:
    """One run."""
    asked = ("chosen", "at_random")
    opinions = [{name: Opinion(**moment[name]) for name in asked} for moment in moments]
    looks = [Moment(**{**m, **o}) for m, o in zip(moments, opinions, strict=True)]
    return Course(steps, looks, returns)


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, svg in pictures().items():
        (FOLDER / name).write_text(svg, "utf-8")
        print(FOLDER / name)
    save_picture(runs_of_critics(), FOLDER / "critics.png")
    print(FOLDER / "critics.png")
    show.save_picture(curves(), TRAINING.with_suffix(".png"))
    print(TRAINING.with_suffix(".png"))
