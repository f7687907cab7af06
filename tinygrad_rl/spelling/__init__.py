"""Two spellings: NumPy's for arrays, PyTorch's for autograd, `nn` and `optim`; all others end here.

    x.view(3, 2)                # AttributeError: ... write `x.reshape(3, 2)`
    tg.sum(x, dim=0)            # TypeError: ... write `axis=`
    np.mean(x)                  # TypeError: ... write `x.mean()`

The tables say what to write: `names.py` for what is not there, `arguments.py` for arguments that
are called otherwise. `lookup.py` makes sentences of them, `calls.py` has them said by Python's own
calls. Nothing of it runs, but for a few hundredths of a microsecond in a call, before something is
spelled wrong.
"""

from tinygrad_rl.spelling.arguments import argument as argument
from tinygrad_rl.spelling.arguments import counted as counted
from tinygrad_rl.spelling.arguments import kind as kind
from tinygrad_rl.spelling.arguments import misplaced as misplaced
from tinygrad_rl.spelling.arguments import no_number_in as no_number_in
from tinygrad_rl.spelling.arguments import with_article as with_article
from tinygrad_rl.spelling.calls import spelled as spelled
from tinygrad_rl.spelling.lookup import ABOUT_ARRAYS as ABOUT_ARRAYS
from tinygrad_rl.spelling.lookup import absent as absent
from tinygrad_rl.spelling.lookup import door as door
from tinygrad_rl.spelling.lookup import no_array_function as no_array_function
from tinygrad_rl.spelling.lookup import unsettable as unsettable
from tinygrad_rl.spelling.lookup import without_absent as without_absent
from tinygrad_rl.spelling.names import MODULE as MODULE
from tinygrad_rl.spelling.names import OPTIMIZER as OPTIMIZER
from tinygrad_rl.spelling.names import TENSOR as TENSOR
