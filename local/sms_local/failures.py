"""What the embedded cloud says when it cannot do what it was asked."""


class LocalCloudError(Exception):
    """The command cannot be carried out; the message is one sentence that names the cause."""
