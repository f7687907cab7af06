"""Carrying out many runs: some at a time, in processes of this machine or on a cluster."""
