"""Appointments: confirmed by text, followed up, reminded of and kept in step with their booking provider."""

from sms_engagement.appointment_follow_up.construct import AppointmentFollowUp
from sms_engagement_runtime.appointment_follow_up.domain.bookings import Provider

__all__ = ["AppointmentFollowUp", "Provider"]
