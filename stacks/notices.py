"""Who is told of alarms and of the month's cost."""

from aws_cdk import RemovalPolicy, Stack
from aws_cdk import aws_budgets as budgets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from stacks.environments import Environment


def alarm_topic(scope: Construct, environment: Environment) -> sns.ITopic | None:
    """Return the topic of an environment's alarms: one that exists, one for an e-mail address, or None."""
    if environment.alarm_topic_arn is not None:
        return sns.Topic.from_topic_arn(scope, "AlarmTopic", environment.alarm_topic_arn)
    if environment.alarm_email is None:
        return None
    # Of its own: AWS Budgets and CloudWatch can publish under no key that AWS manages.
    key = kms.Key(
        scope,
        "AlarmKey",
        description="Topic of the alarms",
        enable_key_rotation=True,
        removal_policy=RemovalPolicy.DESTROY,
    )
    topic = sns.Topic(scope, "AlarmTopic", display_name="SMS alarms", master_key=key, enforce_ssl=True)
    topic.add_subscription(subscriptions.EmailSubscription(environment.alarm_email))
    return topic


def monthly_budget(scope: Construct, environment: Environment, topic: sns.ITopic | None) -> None:
    """Make the budget of an environment's account, if it has one.

    Source: AWS Budgets, *Creating an Amazon SNS topic for budget notifications*: the principal, and the
    condition against confused deputies.
    """
    limit = environment.monthly_budget_usd
    if limit is None or topic is None:
        return
    service = iam.ServicePrincipal(
        "budgets.amazonaws.com",
        conditions={"StringEquals": {"aws:SourceAccount": Stack.of(scope).account}},
    )
    topic.add_to_resource_policy(
        iam.PolicyStatement(principals=[service], actions=["sns:Publish"], resources=[topic.topic_arn])
    )
    if isinstance(topic, sns.Topic) and topic.master_key is not None:
        topic.master_key.grant(service, "kms:Decrypt", "kms:GenerateDataKey*")
    subscriber = budgets.CfnBudget.SubscriberProperty(address=topic.topic_arn, subscription_type="SNS")
    budgets.CfnBudget(
        scope,
        "MonthlyBudget",
        budget=budgets.CfnBudget.BudgetDataProperty(
            budget_type="COST",
            time_unit="MONTHLY",
            budget_limit=budgets.CfnBudget.SpendProperty(amount=limit, unit="USD"),
        ),
        notifications_with_subscribers=[
            budgets.CfnBudget.NotificationWithSubscribersProperty(
                notification=budgets.CfnBudget.NotificationProperty(
                    comparison_operator="GREATER_THAN",
                    notification_type=type_,
                    threshold=percent,
                    threshold_type="PERCENTAGE",
                ),
                subscribers=[subscriber],
            )
            for type_, percent in (("ACTUAL", 80), ("FORECASTED", 100))
        ],
    )
