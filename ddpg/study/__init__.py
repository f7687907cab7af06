"""Many runs: every combination of environments, settings and seeds, and what they come to."""
