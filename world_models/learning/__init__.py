"""How an ensemble learns: data in memory or streamed, losses, epochs that survive a kill, several processes."""
