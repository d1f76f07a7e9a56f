"""The destination: the streaming endpoint of Adobe Experience Platform."""
