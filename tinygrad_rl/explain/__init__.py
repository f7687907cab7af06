"""Where the gradient goes, and where and why it stops: at the line of code.

    print(explain(actor_loss, obs))       # runs it once, with everything recorded

In the order to read it: `record.py` runs the function and keeps every call, `paths.py` has the ways
through them, `joints.py` finds where the chain rule is carried on by hand, `flow.py` what a
gradient takes, `diagnose.py` what stops it; `headline.py` and `text.py` write it down, `draw/`
draws it; `explanation.py` holds the result.
"""

from tinygrad_rl.explain.explanation import Explanation as Explanation
from tinygrad_rl.explain.explanation import explain as explain
