"""A place for mistakes."""
