"""Checkpoints of networks: which there are, where they lie on this machine, what is in them.

    python -m lipsync_core.weights list
    python -m lipsync_core.weights fetch NAME
    python -m lipsync_core.weights verify [FILE …]

Nothing is shipped and nothing is fetched unasked: a checkpoint has a licence of its own.
"""
