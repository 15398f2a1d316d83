"""Terms in ball arithmetic."""
