"""Numba's way to machine code for functions of loops and arithmetic, without what they don't need.

Its passes look through every line for closures, array expressions and the like, which is a third of
the time to compile.
"""

from typing import Any

from numba.core.compiler import CompilerBase, DefaultPassBuilder

_NOT_NEEDED = {
    "DeadBranchPrune",  # branches on the types of arguments
    "FindLiterally",
    "IRLegalization",  # refuses what is not Numba's Python
    "InlineClosureLikes",  # closures and comprehensions
    "InlineInlinables",
    "InlineOverloads",
    "LiteralPropagationSubPipelinePass",
    "LiteralUnroll",
    "MakeFunctionToJitFunction",
    "NopythonRewrites",  # expressions of whole arrays
    "RewriteSemanticConstants",
    "WithLift",
}


class Straight(CompilerBase):
    """Numba's way to machine code, without the stops that generated functions don't need.

    They have loops and arithmetic on single numbers.
    """

    def define_pipelines(self) -> list[Any]:
        """Numba's own passes, but for those above."""
        manager = DefaultPassBuilder.define_nopython_pipeline(self.state)
        manager.passes = [(p, text) for p, text in manager.passes if p.__name__ not in _NOT_NEEDED]
        manager.finalize()
        return [manager]
