"""One run: train, go on, evaluate, export, and what is left in the run's folder.

`api.py` is what Python calls and `runs.py` what it does; `loop.py` is what a run does with each
step. `environments/` is where it learns, `disk/` what it leaves, `look/` and `export/` what is made
of that.
"""
