"""Files: how they are written, and what says which model and text they were made from."""
