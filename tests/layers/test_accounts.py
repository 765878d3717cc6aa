from __future__ import annotations

from collections import Counter

from txchannels.layers.accounts import FULL, MAX_ACCOUNTS, OTHERS, Account, Accounts, family_of


def test_what_is_not_booked_otherwise_is_pending():
    assert Account(sent=10, delivered=4, lost=1, dropped=Counter(full=2)).pending == 3


def test_channels_of_one_pattern_or_prefix_share_an_account():
    assert family_of("body?abc") == "body?"
    assert family_of("sockets!1f") == "sockets!"
    assert family_of("http.request") == "http.request"
    accounts = Accounts()
    assert accounts.open("body?a") is accounts.open("body?b")


def test_the_books_are_bounded():
    accounts = Accounts()
    for n in range(MAX_ACCOUNTS + 5):
        accounts.open(f"channel{n}").sent += 1
    books = accounts.read()
    assert len(books) == MAX_ACCOUNTS + 1
    assert books[OTHERS].sent == 5
    assert accounts.total().sent == MAX_ACCOUNTS + 5


def test_reading_an_account_opens_none_and_gives_a_copy():
    accounts = Accounts()
    assert accounts.of("chat") == Account()
    assert accounts.read() == {}
    accounts.open("chat").dropped[FULL] += 1
    accounts.of("chat").dropped[FULL] += 5
    accounts.read()["chat"].sent += 5
    assert accounts.total() == Account(dropped=Counter(full=1))
