"""What the storm tests share: a server that can be killed, clients that remember every answer, a database to stop."""
