"""`ddpg compare --report`: everything the comparison found, as one page."""
