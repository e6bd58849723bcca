"""One file a pane; ``base`` says what a pane is."""
