"""Arguments -> one call per subcommand; no logic of its own."""


def main() -> None:
    """The entry point `symact`."""
    raise SystemExit("symact: the command line is being assembled")
