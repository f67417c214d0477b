"""SyncNet: pictures and sound as vectors, and how far apart they are."""
