"""What Adobe Experience Platform must have to take our events, made from the mapping table."""
