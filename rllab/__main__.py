"""`python -m rllab`, the same as `rllab`."""

from rllab.cli import main

main()
