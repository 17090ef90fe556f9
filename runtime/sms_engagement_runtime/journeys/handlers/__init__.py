"""What Lambda calls: one module an event."""
