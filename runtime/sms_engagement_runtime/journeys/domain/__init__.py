"""What a journey is, who is on it, and what each person gets next: no AWS."""
