"""The carrier simulator: AWS End User Messaging SMS, and the phones behind it, on this machine.

It answers the ``pinpoint-sms-voice-v2`` API with the service's own validation, publishes delivery
events and inbound messages to the SNS topics that the template configured, and is scripted from
outside by a small control API. Everything is kept in memory by one asyncio process.
"""
