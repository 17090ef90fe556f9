"""Subscribers, enrolments and earlier steps on AWS services."""
