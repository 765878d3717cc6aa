"""A site that sends messages for later, and writes down those that arrive."""
