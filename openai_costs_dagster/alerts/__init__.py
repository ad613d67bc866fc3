"""Delivers alerts: `routing` selects channels, `message` writes texts, `channels` sends messages, `delivery` retries.

To add a channel that Apprise does not support, add a class with a method `send` to `channels.py`, and select it in
`routing._channel`. To find out why an alert was not received, start with `delivery.py`.
"""
