"""The engine process: ``protocol`` (messages), ``worker`` (the process), ``client`` (its owner)."""
