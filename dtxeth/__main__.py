"""``python -m dtxeth``: the command line."""

from dtxeth.cli import main

main()
