"""What tells one edit of the code from the next."""

VERSION = "one"
