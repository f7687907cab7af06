"""The compiler: a traced program becomes one Numba function that is fast and can be read.

`passes.py` rewrites the program. `schedule.py` makes a plan (`plan.py`) of it: what runs together,
what threads do at the same time (`phases.py`), where numbers live (`memory.py`).
`codegen.py` (with `source.py`, `loops.py`, `steps.py`) writes the function, `compiled.py` holds it
with its memory, `jitted.py` puts it in the user's function's place.
"""

from tinygrad_rl.compiler.jitted import Jitted as Jitted
from tinygrad_rl.compiler.jitted import jit as jit
