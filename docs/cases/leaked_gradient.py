"""The actor's loss leaves a gradient in the critic, and the critic's next step uses it.

RLlib's TQC did this until 2026: the actor's backward added its gradient to the critics'
`.grad`, and since nobody cleared it before the critics' own backward, their step also pushed Q
up, without bound.
"""

import numpy as np

import tinygrad_rl as tg
from tinygrad_rl.nn import functional as F

rng = np.random.default_rng(0)
obs = tg.Tensor(rng.normal(size=(32, 3)).astype(np.float32))
action = tg.Tensor(rng.uniform(-1, 1, size=(32, 1)).astype(np.float32))
target = tg.Tensor(np.full((32, 1), -1, np.float32))  # the true value: Q should end at -1


class Agent:
    def __init__(self):
        rng = np.random.default_rng(1)
        self.actor = tg.nn.MLP((3, 16, 1), rng=rng)
        self.critic = tg.nn.MLP((4, 16, 1), rng=rng)
        self.critic_optimizer = tg.optim.Adam(self.critic.parameters(), lr=1e-2)

    def q(self, a):
        return self.critic(tg.concatenate([obs, a], axis=1))

    def update(self):
        """One step of each; the actor stands still, so that only the critic is watched."""
        critic_loss = F.mse_loss(self.q(action), target)
        critic_loss.backward()
        self.critic_optimizer.step()
        self.critic_optimizer.zero_grad()
        actor_loss = -self.q(self.actor(obs).tanh()).mean()  # <- culprit
        actor_loss.backward()

    def update_frozen(self):
        """The same, with the critic frozen for the actor's loss."""
        critic_loss = F.mse_loss(self.q(action), target)
        critic_loss.backward()
        self.critic_optimizer.step()
        self.critic_optimizer.zero_grad()
        with tg.frozen(self.critic):
            actor_loss = -self.q(self.actor(obs).tanh()).mean()
        actor_loss.backward()


def mean_q_after(update, steps=150):
    agent = Agent()
    for _ in range(steps):
        update(agent)
    return agent.q(action).mean().item()


def symptom():
    """Q does not converge to its target."""
    q = mean_q_after(Agent.update)
    assert q > -0.7
    return f"mean Q after 150 updates: {q:.2f}; its target is -1 everywhere"


def diagnosis():
    """Each critic tensor gets its gradient from two lines; the second is the actor's loss."""
    return tg.explain(Agent().update)


def fix():
    """Freeze the critic while the actor's loss is computed."""
    q = mean_q_after(Agent.update_frozen)
    assert abs(q + 1) < 0.05
    return f"mean Q after 150 updates with the critic frozen in the actor's loss: {q:.2f}"


if __name__ == "__main__":
    print(symptom(), diagnosis(), fix(), sep="\n\n")
