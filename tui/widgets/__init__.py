"""What several panes use: the heat grid, the token strip, bars, and the lines around them."""
