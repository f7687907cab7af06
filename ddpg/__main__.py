"""`python -m ddpg`: the same as the command `ddpg`."""

from ddpg.cli import main

if __name__ == "__main__":
    main()
