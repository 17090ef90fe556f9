"""The rules of appointments and the conversations about them; standard library only."""
