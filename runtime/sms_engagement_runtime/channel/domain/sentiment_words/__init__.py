"""Words and phrases by which :mod:`sms_engagement_runtime.channel.domain.sentiment` judges a text."""
