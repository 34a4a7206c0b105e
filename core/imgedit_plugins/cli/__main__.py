"""`python -m imgedit_plugins.cli` is `imgedit-plugins`."""

from imgedit_plugins.cli import main

main()
