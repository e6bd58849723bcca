"""What the app keeps answers of: a folder a subject, with its question, its view and its keys."""
