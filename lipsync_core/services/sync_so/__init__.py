"""The generate API of Sync.so, version 2, in both shapes it is met in."""
