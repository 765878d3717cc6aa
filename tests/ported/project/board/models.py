"""What hangs on the board."""

from django.db import models
from django.db.models.signals import post_save
from django.dispatch import receiver

from txchannels.django import Group


class Notice(models.Model):
    room = models.CharField(max_length=20)
    text = models.CharField(max_length=200)

    def __str__(self):
        return self.text

    def shout(self):
        return self.text.upper() + "!"


@receiver(post_save, sender=Notice)
def tell_room(sender, instance, created, **kwargs):
    if created:
        Group("board-" + instance.room).send({"text": "posted: " + instance.text})
