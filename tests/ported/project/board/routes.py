"""A kind of route of one's own."""

# ruff: noqa: UP031 - as they were written


class Weekdays:
    """Matches the paths of weekdays."""

    days = ("monday", "tuesday")

    def __init__(self, channel, consumer):
        self.channel = channel
        self.consumer = consumer

    def match(self, message):
        for day in self.days:
            if message.get("path") == "/%s/" % day:
                return self.consumer, {"day": day}
        return None

    def channel_names(self):
        return {self.channel}
