"""The subcommands of `vla`; each module here is one, under its own name.

A module has a docstring whose first line is the help text, `add_arguments(parser)` and `run(options) -> int` (the exit code). Heavy
imports belong inside `run`: `vla --help` imports every module.
"""
