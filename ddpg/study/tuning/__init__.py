"""Tuning: settings that are better than the ones at hand, found by many runs and checked by more.

`space.py` says what is searched, `search.py` what one tuning consists of, `journal.py` what Optuna
keeps and chooses, `trials.py` carries the trials out, `rerun.py` runs the best again, `api.py` is
all of it in one call, and `page.py` with its helpers shows what came out.
"""
