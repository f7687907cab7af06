"""What the compiled actor step does on its way back: frozen, unfrozen and blocked, line by line.

    steps = [compile_step(case, Size()) for case in CASES]
    for row in diff([step.lines for step in steps]): print(row.text, row.found_in)

The generated function is autograd's answer put down in writing: what freezing saves are lines that
are missing, what blocking destroys is a path that is missing. Values are named alike in all three,
so that the same line is the same text: ``critic_h1`` is what the critic's first layer hands on,
``d_critic_h1`` the loss's derivative in it, ``critic_z1`` is the same layer before its activation.
"""

import inspect
import math
import re
import statistics
import textwrap
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import tinygrad_rl as tg
from ddpg.compare.cases import Lab, Size
from ddpg.networks import Actor, Critic

PATH, CRITIC, ACTOR = "path", "critic", "actor"
GROUPS = {
    PATH: "through the critic, on the way to the action",
    CRITIC: "into the critic's own parameters",
    ACTOR: "from the action into the actor's parameters",
}
"""What a line of the backward pass is for, in the order in which it is told."""


def frozen(actor: Actor, critic: Critic, obs: tg.Tensor) -> tg.Tensor:
    """The critic's parameters are constants."""
    with tg.frozen(critic):
        return -critic(obs, actor(obs)).mean()


def unfrozen(actor: Actor, critic: Critic, obs: tg.Tensor) -> tg.Tensor:
    """Nothing is held."""
    return -critic(obs, actor(obs)).mean()


def blocked(actor: Actor, critic: Critic, obs: tg.Tensor) -> tg.Tensor:
    """The action is cut off from where it came from."""
    return -critic(obs, actor(obs).detach()).mean()


CASES: dict[str, Callable[[Actor, Critic, tg.Tensor], tg.Tensor]] = {
    "frozen": frozen,
    "unfrozen": unfrozen,
    "blocked": blocked,
}


@dataclass(frozen=True)
class Line:
    """One operation of the backward pass.

    Attributes
    ----------
    text
        The operation, in the names that all cases share.
    group
        A key of :data:`GROUPS`.
    flops
        Of its matrix product; 0 for everything else.
    bytes
        Read and written if it ran alone; the loops of the generated function save some of them.
    """

    text: str
    group: str
    flops: int
    bytes: int


@dataclass(frozen=True)
class Step:
    """The compiled actor step of one case.

    Attributes
    ----------
    name
        A key of :data:`CASES`.
    recorded_flops
        Of the backward pass as autograd ran it.
    flops
        Of the backward pass that is left after compilation.
    lines
        Its operations.
    code
        The generated code that does them, in the shared names.
    source
        The generated function, word for word.
    milliseconds
        Forward and backward together, median; NaN if it was not timed.
    """

    name: str
    recorded_flops: int
    flops: int
    lines: list[Line]
    code: list[str]
    source: str
    milliseconds: float = math.nan

    def cost(self, group: str) -> tuple[int, int]:
        """FLOPs and bytes of a group's lines."""
        lines = [line for line in self.lines if line.group == group]
        return sum(line.flops for line in lines), sum(line.bytes for line in lines)


def compile_step(name: str, size: Size, seed: int = 0, repetitions: int = 0) -> Step:
    """Compile one of the :data:`CASES`, forward and backward pass, and read what came out.

    Parameters
    ----------
    repetitions
        Calls that are timed.
    """
    lab, loss_of = Lab(size, seed), CASES[name]
    actor, critic = lab.actor, lab.critic

    def actor_step(obs: tg.Tensor) -> None:
        loss = loss_of(actor, critic, obs)
        loss.backward()

    step = tg.jit(actor_step)
    step(lab.obs)
    here = _place_of_backward(actor_step)
    recorded = [i for i in step.program().instructions if i.line == here]
    plan = step.plan()
    names = _Names()
    # The names depend on what came before: every instruction is read, the backward ones are kept.
    lines = [(i.line == here, names.read(i)) for i in plan.program.instructions]
    backward = [line for is_backward, line in lines if is_backward and line is not None]
    return Step(
        name,
        sum(i.flops for i in recorded),
        sum(line.flops for line in backward),
        backward,
        names.rename(_backward_code(step.source(), here)),
        step.source(),
        _median_milliseconds(lambda: step(lab.obs), repetitions) if repetitions else math.nan,
    )


def _place_of_backward(function: Callable[..., Any]) -> str:
    """``file.py:number``, as the comments in the generated code have it."""
    lines, first = inspect.getsourcelines(function)
    number = first + next(n for n, line in enumerate(lines) if ".backward()" in line)
    return f"{Path(__file__).name}:{number}"


def _median_milliseconds(call: Callable[[], object], repetitions: int) -> float:
    seconds = []
    for _ in range(repetitions + 2):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return 1e3 * statistics.median(seconds[2:])  # the first ones warm the caches


def _backward_code(source: str, here: str) -> list[str]:
    """The blocks of the generated function in which a comment points to the line of `backward`."""
    chosen = [block for block in source.split("\n\n") if f"({here})\n" in block]
    places = re.compile(r"  \(\w+\.py:\d+\)$")
    return [
        places.sub("", line)
        for block in chosen
        for line in textwrap.dedent(block).splitlines()
        if line
    ]


class _Names:
    """Gives the values of a program names that say what they are, the same in every case."""

    _WEIGHT = re.compile(r"(actor|critic)_mlp_(\d+)_(weight|bias)")
    _VIEWS = {"permute": ".T", "reshape": "", "broadcast_to": ""}

    def __init__(self) -> None:
        self._name: dict[Any, str] = {}
        self._layer: dict[Any, str] = {}  # "critic_3" for the product and what becomes of it
        self._input: dict[str, str] = {}  # name of what goes into a layer, by its weight's name
        self._given: dict[str, str] = {}  # as the generated function calls it -> as it is shown

    def read(self, i: Any) -> Line | None:
        """Name the result of an instruction; None for a view, which costs nothing."""
        inputs = [self.of(v) for v in i.inputs]
        op = i.op.name
        if op in self._VIEWS or op == "slice":
            how = self._columns(i) if op == "slice" else self._VIEWS[op]
            if i.inputs[0].kind == "literal":
                self._name[i.out] = inputs[0]
            else:
                self._name[i.out] = self._given[i.out.name] = inputs[0] + how
            return None
        self._name[i.out] = name = self._name_result(i, op, inputs)
        self._given[i.out.name] = name
        products = " @ ".join(inputs) if op == "matmul" else f"{op}({', '.join(inputs)})"
        if op == "sum":
            products = f"sum({inputs[0]}, axis={i.params['axis'][0]})"
        return Line(f"{name} = {products}", self._group(name), i.flops, i.nbytes)

    def rename(self, code: Sequence[str]) -> list[str]:
        """The generated code in these names; a loop's own variable keeps its underscore."""

        def shared(word: re.Match[str]) -> str:
            text = word[0]
            stem = text.rstrip("_")
            known = self._given.get(text) or self._given.get(stem)
            return self._parameter(text) if known is None else known + "_" * text.endswith("_")

        return [re.sub(r"\b[a-z_]\w*", shared, line) for line in code]

    def of(self, v: Any) -> str:
        """A value as it is shown."""
        if v.kind == "literal":
            return f"{v.number:.4g}"
        return self._name.get(v) or self._parameter(v.name)

    def _parameter(self, name: str) -> str:
        """``critic_W2`` for the weight of the critic's second linear layer."""
        return self._WEIGHT.sub(
            lambda m: f"{m[1]}_{'W' if m[3] == 'weight' else 'b'}{int(m[2]) // 2 + 1}",
            name.replace("grad_", "d_", 1),
        )

    @staticmethod
    def _columns(i: Any) -> str:
        start, count, _ = i.params["bounds"][-1]
        return f"[:, {start}:{start + count}]"

    def _name_result(self, i: Any, op: str, inputs: list[str]) -> str:
        if i.out.name.startswith("grad_") and self._WEIGHT.search(i.out.name):
            return self._parameter(i.out.name)
        if "." in op:
            return self._derivative(op, inputs)
        weight = next((name for name in inputs if re.match(r"(actor|critic)_W\d", name)), None)
        if weight is not None:
            layer = weight.split(".")[0].split("[")[0].replace("_W", "_")
            if inputs[-1].endswith(".T") and op == "matmul":  # forward: x @ W.T
                self._input[layer] = inputs[0]
                self._layer[i.out] = layer
                return layer.replace("_", "_product")
            return self._derivative_of_input(layer, weight, inputs)
        return self._forward(i, op)

    def _forward(self, i: Any, op: str) -> str:
        layer = next((self._layer[v] for v in i.inputs if v in self._layer), None)
        if layer is not None:
            if op == "add":
                self._layer[i.out] = layer
                return layer.replace("_", "_z")
            return layer.replace("_", "_h")
        if op == "concatenate":
            return "critic_input"
        return "action" if op == "add" else f"{self.of(i.inputs[-1])}_scaled"

    def _derivative(self, op: str, inputs: list[str]) -> str:
        """Of an elementwise rule: the activation's output stands last, its input is meant."""
        if op.startswith("mul."):
            return inputs[0].replace("d_action", "d_actor_h")
        return "d_" + re.sub(r"_h(\d)", r"_z\1", inputs[-1])

    def _derivative_of_input(self, layer: str, weight: str, inputs: list[str]) -> str:
        if "[" in weight:
            return "d_action"
        return "d_" + self._input.get(layer, self._before(layer))

    @staticmethod
    def _before(layer: str) -> str:
        """The last layer has no forward product here, for nobody asked for the loss's value."""
        network, number = layer.split("_")
        return f"{network}_h{int(number) - 1}"

    @staticmethod
    def _group(name: str) -> str:
        if re.match(r"d_critic_[Wb]\d", name):
            return CRITIC
        return ACTOR if name.startswith("d_actor") else PATH


@dataclass(frozen=True)
class Row:
    """A line of the merged text, and whether each of the cases has it."""

    text: str
    found_in: tuple[bool, ...]


def diff(texts: Sequence[Sequence[str]]) -> list[Row]:
    """Merge texts into one in which every line of each stands once, in order.

    The first two are aligned (longest matching blocks, ``difflib``), the result with the third, and
    so on.
    """
    rows = [Row(line, (True,)) for line in texts[0]]
    for n, text in enumerate(texts[1:], 1):
        rows = list(_merge(rows, list(text), n))
    return rows


def _merge(rows: list[Row], text: list[str], n: int) -> list[Row]:
    merged = []
    matcher = SequenceMatcher(None, [row.text for row in rows], text, autojunk=False)
    for kind, a, b, c, d in matcher.get_opcodes():
        merged += [Row(row.text, (*row.found_in, kind == "equal")) for row in rows[a:b]]
        if kind != "equal":
            merged += [Row(line, (False,) * n + (True,)) for line in text[c:d]]
    return merged
