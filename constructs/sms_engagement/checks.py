"""Checks of what a construct is given beside its own props: Regions, keys, and what is legal but doubtful."""

from collections.abc import Sequence

from aws_cdk import Annotations, Stack, Token
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_kms as kms
from constructs import Construct


def check_arn_region(scope: Construct, name: str, arn: str | None) -> None:
    """Refuse what lies in another Region than the stack that uses it.

    Raises
    ------
    ValueError
        Both Regions are known, and they differ.
    """
    if arn is None or Token.is_unresolved(arn) or arn.count(":") < 5:
        return
    here, there = Stack.of(scope).region, arn.split(":")[3]
    if there and not Token.is_unresolved(here) and here != there:
        raise ValueError(
            f"{name} must be in the Region of its stack, {here}, got {arn!r} in {there}; give the stack "
            f"env=Environment(region={there!r}), or what {here} has of it"
        )


def check_key(name: str, table: dynamodb.ITable | None, key: kms.IKey | None) -> None:
    """Refuse a table under a customer managed key that the functions would have no right to use.

    Raises
    ------
    ValueError
        The table's key is known, and it is not the construct's.
    """
    if table is None or table.encryption_key is None or table.encryption_key is key:
        return
    raise ValueError(
        f"{name} must be under the encryption_key of the construct, got the key "
        f"{table.encryption_key.node.path} and {'none' if key is None else key.node.path} for the construct; "
        f"give both the same key"
    )


def add_doubts(construct: Construct, doubts: Sequence[str]) -> None:
    """Warn of what is legal and perhaps not meant."""
    for number, doubt in enumerate(doubts):
        Annotations.of(construct).add_warning_v2(f"sms-engagement:doubt-{number}", doubt)
