"""The SMS channel shared by every construct: gate, ledger, consent, inbound router."""
