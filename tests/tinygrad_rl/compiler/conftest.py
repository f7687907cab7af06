"""No test here leaves a process behind."""

from tests.tinygrad_rl.processes import no_process_left  # noqa: F401  (for every test)
