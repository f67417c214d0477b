"""Pictures and sound: what a file is, its frames, its samples, where its shots begin."""
