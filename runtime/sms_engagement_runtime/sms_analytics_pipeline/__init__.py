"""Every delivery event and every answer: onto the stream, into tables, metrics and the archive."""
