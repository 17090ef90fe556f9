"""The rules of collecting reviews; standard library only."""
