"""The stack of everything that must not be lost."""

from aws_cdk import Stack
from constructs import Construct


class DataStack(Stack):
    """Tables, stream, buckets, secrets and opt-out list of one environment, apart from all that uses them.

    The constructs of the other stacks make them here, each below its own id. Nothing here refers to another
    stack: it is deployed first and deleted last, and a faulty deployment of a system never touches it. What
    another stack uses is exported, and CloudFormation neither deletes nor replaces an export that is in use.
    """

    def __init__(self, scope: Construct, id: str, *, termination_protection: bool) -> None:
        super().__init__(
            scope,
            id,
            description="Data: tables, stream, buckets, secrets and opt-out list of the SMS systems",
            termination_protection=termination_protection,
        )
