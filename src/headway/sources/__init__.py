"""Where data come from: files, databases and object stores, each opened as something that the engine can read."""
