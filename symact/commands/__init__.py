"""What each subcommand does: rooms called in order, and their results printed."""
