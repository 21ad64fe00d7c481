"""The command line: each body parses, calls one command, renders."""
