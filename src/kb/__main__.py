"""`python -m kb`, and `accelerate launch -m kb`: the `kb` command."""

from kb.cli import main

main()
