"""The `vla` command: one file for each subcommand in `commands`."""
