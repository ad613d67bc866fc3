"""What is killed, raced, unplugged or answered with errors: stored days stay whole, and the next run completes."""
