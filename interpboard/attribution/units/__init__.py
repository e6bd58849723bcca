"""Attribution to words, sentences and turns of a chat."""
