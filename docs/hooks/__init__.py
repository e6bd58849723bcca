"""What the site says that is read from the program, so that it cannot go stale."""
