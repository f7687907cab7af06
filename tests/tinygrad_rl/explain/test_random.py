"""Random programs with planted cuts: explain must find each of them, at its line, and no other."""

import linecache
import types

import numpy as np
import pytest

import tinygrad_rl as tg


class Program:
    """Writes a function with some leaves, random ops, and cuts whose kind and line it remembers."""

    def __init__(self, seed, folder):
        self.rng = np.random.default_rng(seed)
        self.file = folder / f"program_{seed}.py"
        self.lines = ["import numpy as np", "import tinygrad_rl as tg", "", "def f():"]
        self.planted = {}
        self.used = set()
        self.count = int(self.rng.integers(3, 6))

    def write(self, code):
        self.lines.append("    " + code)
        return len(self.lines)

    def plain(self, h):
        ops = ["{h}.tanh()", "{h} * 1.3", "{h} + 0.7", "({h} * {h} + 0.1)", "tg.exp({h} * 0.2)"]
        self.write(f"{h} = " + str(self.rng.choice(ops)).format(h=h))

    def cut(self, h):
        """Plant a cut in h; return its kind and line."""
        kind = self.rng.choice(["detached", "no_grad", "not differentiable", "left the engine"])
        if kind == "detached":
            line = self.write(f"{h} = tg.stop_gradient({h})")
        elif kind == "no_grad":
            line = self.write("with tg.no_grad():")
            self.write(f"    {h} = {h} * 1.1 + 0.2")
        elif kind == "not differentiable":
            line = self.write(f"mask = {h} > {h}.mean()")
            self.write(f"{h} = mask.astype(np.float64) * 0.37 + 0.5")
        else:
            line = self.write(f"{h} = tg.Tensor({h}.numpy())")
        return str(kind), line

    def branch(self, i):
        """One leaf's way, down to h{i}."""
        cuts = []
        h, frozen = f"h{i}", self.rng.random() < 0.25
        if frozen:
            cuts.append(("frozen", self.write(f"with tg.frozen(w{i}):")))
        self.write("    " * frozen + f"{h} = w{i} * {1.1 + 0.1 * i:.1f}")
        for _ in range(int(self.rng.integers(0, 3))):
            self.plain(h)
            if self.rng.random() < 0.3:
                cuts.append(self.cut(h))
        return cuts

    def build(self):
        groups = []  # (variable, {leaf: cuts so far})
        for i in range(self.count):
            cuts = self.branch(i)
            if self.rng.random() < 0.15:
                self.planted[f"w{i}"] = None  # does not enter the result
            else:
                groups.append((f"h{i}", {f"w{i}": cuts}))
        while len(groups) > 1:
            a, b = self.rng.choice(len(groups), 2, replace=False)
            (x, xs), (y, ys) = groups[a], groups[b]
            groups = [g for k, g in enumerate(groups) if k not in (a, b)]
            self.write(f"{x} = {x} {self.rng.choice(['+', '*'])} {y}")
            merged = xs | ys
            if self.rng.random() < 0.25:
                cut = self.cut(x)
                merged = {leaf: [*cuts, cut] for leaf, cuts in merged.items()}
            groups.append((x, merged))
        result, leaves = groups[0] if groups else ("tg.Tensor([1.0])", {})
        self.planted |= leaves
        self.write(f"return {result}.sum()")

    def load(self):
        text = "\n".join(self.lines) + "\n"
        self.file.write_text(text, "utf-8")
        linecache.checkcache(str(self.file))
        module = types.ModuleType("program")
        for i in range(self.count):
            data = self.rng.normal(size=(3, 4))
            setattr(module, f"w{i}", tg.Tensor(data, requires_grad=True))
        exec(compile(text, str(self.file), "exec"), module.__dict__)
        return module


@pytest.mark.parametrize("seed", range(20))
def test_every_planted_cut_is_found_at_its_line(seed, tmp_path):
    program = Program(seed, tmp_path)
    program.build()
    module = program.load()
    explanation = tg.explain(module.f)
    for name, cuts in program.planted.items():
        leaf = explanation[name]
        found = sorted((c.kind, c.line.number) for c in leaf.causes)
        if cuts is None:
            assert leaf.status == "unused" or "left the engine" in [kind for kind, _ in found]
            continue
        assert found == sorted(cuts), "\n".join(program.lines)
        wanted = "reached" if not cuts else "frozen" if {k for k, _ in cuts} == {"frozen"} else ""
        assert leaf.status == (wanted or "blocked")


@pytest.mark.parametrize("seed", range(20))
def test_reached_is_what_grad_reaches(seed, tmp_path):
    program = Program(seed, tmp_path)
    program.build()
    module = program.load()
    explanation = tg.explain(module.f)
    leaves = [getattr(module, f"w{i}") for i in range(program.count)]
    loss = module.f()
    found = [None] * len(leaves)
    if loss.requires_grad:
        found = tg.grad(loss, leaves, allow_unused=True)
    for i, g in enumerate(found):
        leaf = explanation[f"w{i}"]
        assert (leaf.status == "reached") == (g is not None)
        if g is not None:
            assert leaf.norm == pytest.approx(float(np.linalg.norm(g.numpy())))


def test_the_programs_hold_every_kind_of_cut(tmp_path):
    kinds = set()
    for seed in range(20):
        program = Program(seed, tmp_path)
        program.build()
        kinds |= {k for cuts in program.planted.values() for k, _ in cuts or []}
    assert kinds == {"frozen", "detached", "no_grad", "not differentiable", "left the engine"}
