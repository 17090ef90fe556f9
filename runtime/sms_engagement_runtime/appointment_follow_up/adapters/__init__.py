"""The ports of appointments, implemented on AWS services and booking providers."""
