"""A small site that is tested with the tools, as its own authors would."""
