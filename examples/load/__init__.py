"""Load for a deployed stage, or for the embedded cloud: bookings, and the form."""
