"""The site of the tests of worker processes; they copy it, and edit the copy."""
