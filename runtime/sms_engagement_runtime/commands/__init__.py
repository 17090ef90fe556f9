"""What people run by hand, beside what runs in Lambda: the console script ``sms-engagement``."""
