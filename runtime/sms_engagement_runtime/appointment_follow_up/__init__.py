"""AppointmentFollowUp: an appointment is confirmed by text, followed up, reminded of and kept in step."""
