"""What goes out to the terminal and how the process leaves it: all use of Textual's private names."""
