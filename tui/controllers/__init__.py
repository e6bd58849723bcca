"""What the commands do, a file a subject; none of it draws."""
