"""Alert delivery: `channels` sends, `routing` selects channels, `message` writes texts, `delivery` retries.

To add a channel that Apprise does not support, add a class with a method `send` to `channels.py` and select it in
`routing._channel`. To find out why an alert did not arrive, start with `delivery.py`.
"""
