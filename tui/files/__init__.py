"""What the app reads and writes on the user's disk."""
