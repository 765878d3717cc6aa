"""The project's own tests are its own runner's."""

collect_ignore = ["project"]
