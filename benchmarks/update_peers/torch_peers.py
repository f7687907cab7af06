"""The update in PyTorch: as CleanRL writes it, and tuned with what PyTorch offers for it."""

import copy

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from .problem import GAMMA, LEARNING_RATE, NETWORKS, TAU, Problem, named


class Network(nn.Module):
    """Linear layers with ReLU between them."""

    def __init__(self, layers: list[tuple[np.ndarray, np.ndarray]]):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(w.shape[1], w.shape[0]) for w, _ in layers)
        with torch.no_grad():
            for layer, (weight, bias) in zip(self.layers, layers, strict=True):
                layer.weight.copy_(torch.from_numpy(weight))
                layer.bias.copy_(torch.from_numpy(bias))

    def body(self, x: torch.Tensor) -> torch.Tensor:
        """Return the last layer's output."""
        for layer in self.layers[:-1]:
            x = F.relu(layer(x))
        return self.layers[-1](x)


class Actor(Network):
    """Observation to action; scale and bias are those of the bounds -1 and 1."""

    def __init__(self, layers: list[tuple[np.ndarray, np.ndarray]]):
        super().__init__(layers)
        act = layers[-1][1].shape
        self.register_buffer("action_scale", torch.ones(act))
        self.register_buffer("action_bias", torch.zeros(act))

    def forward(self, obs: torch.Tensor) -> torch.Tensor:
        """Return actions, (batch, act)."""
        return torch.tanh(self.body(obs)) * self.action_scale + self.action_bias


class Critic(Network):
    """Observation and action to Q."""

    def forward(self, obs: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
        """Return Q, (batch, 1)."""
        return self.body(torch.cat([obs, action], 1))


class Plain:
    """Eager PyTorch as in CleanRL: NumPy replay, default Adam, the critic not frozen."""

    adam_options: dict[str, bool] = {}

    def __init__(self, problem: Problem, threads: int):
        torch.set_num_threads(threads)
        self.problem = problem
        self.rng = np.random.default_rng(1)
        self.actor, self.target_actor = (
            Actor(problem.layers(name)) for name in ("actor", "target_actor")
        )
        self.critic, self.target_critic = (
            Critic(problem.layers(name)) for name in ("critic", "target_critic")
        )
        options = {"lr": LEARNING_RATE} | self.adam_options
        self.actor_optimizer = torch.optim.Adam(self.actor.parameters(), **options)
        self.critic_optimizer = torch.optim.Adam(self.critic.parameters(), **options)

    def check_step(self) -> None:
        """Update on the first batch."""
        self.step(*(torch.tensor(array) for array in self.problem.batch))

    def parameters(self) -> dict[str, np.ndarray]:
        """Return all parameters."""
        found: dict[str, np.ndarray] = {}
        for name in NETWORKS:
            layers = copy.deepcopy(getattr(self, name)).layers
            found |= named(name, [(x.weight.detach(), x.bias.detach()) for x in layers])
        return found

    def update(self) -> None:
        """Sample from NumPy arrays and copy into tensors, as a NumPy replay buffer does."""
        replay, size = self.problem.replay, self.problem.size
        rows = self.rng.integers(0, len(replay[0]), size.batch)
        self.step(*(torch.tensor(array[rows]) for array in replay))

    def step(self, obs, action, reward, next_obs, terminated) -> None:
        """Update once."""
        with torch.no_grad():
            next_q = self.target_critic(next_obs, self.target_actor(next_obs))
            target = reward + (1 - terminated) * GAMMA * next_q.view(-1)
        q = self.critic(obs, action).view(-1)
        critic_loss = F.mse_loss(q, target)
        self.critic_optimizer.zero_grad()
        critic_loss.backward()
        self.critic_optimizer.step()

        actor_loss = -self.critic(obs, self.actor(obs)).mean()
        self.actor_optimizer.zero_grad()
        actor_loss.backward()
        self.actor_optimizer.step()

        for online, target in ((self.actor, self.target_actor), (self.critic, self.target_critic)):
            for p, t in zip(online.parameters(), target.parameters(), strict=True):
                t.data.copy_(TAU * p.data + (1 - TAU) * t.data)


class Tuned(Plain):
    """Frozen critic in the actor's step, fused Adam, one polyak call, replay kept in tensors."""

    adam_options = {"fused": True}

    def __init__(self, problem: Problem, threads: int):
        super().__init__(problem, threads)
        self.generator = torch.Generator().manual_seed(1)
        self.replay = [torch.tensor(array) for array in problem.replay]
        self.critic_parameters = list(self.critic.parameters())
        self.online = [*self.actor.parameters(), *self.critic.parameters()]
        self.targets = [*self.target_actor.parameters(), *self.target_critic.parameters()]

    def update(self) -> None:
        """Sample with tensors all the way."""
        high, size = len(self.replay[0]), (self.problem.size.batch,)
        rows = torch.randint(high, size, generator=self.generator)
        self.step(*(array.index_select(0, rows) for array in self.replay))

    def step(self, obs, action, reward, next_obs, terminated) -> None:
        """Update once."""
        with torch.no_grad():
            next_q = self.target_critic(next_obs, self.target_actor(next_obs)).view(-1)
            target = torch.addcmul(reward, 1 - terminated, next_q, value=GAMMA)
        critic_loss = F.mse_loss(self.critic(obs, action).view(-1), target)
        self.critic_optimizer.zero_grad()
        critic_loss.backward()
        self.critic_optimizer.step()

        for parameter in self.critic_parameters:
            parameter.requires_grad_(False)
        actor_loss = -self.critic(obs, self.actor(obs)).mean()
        self.actor_optimizer.zero_grad()
        actor_loss.backward()
        self.actor_optimizer.step()
        for parameter in self.critic_parameters:
            parameter.requires_grad_(True)

        with torch.no_grad():
            torch._foreach_lerp_(self.targets, self.online, TAU)
