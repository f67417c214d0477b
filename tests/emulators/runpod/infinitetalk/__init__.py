"""The InfiniteTalk worker as it answers a job's input, without a GPU.

:func:`handler.answer` is the whole of it; ``python -m tests.emulators.runpod.infinitetalk`` runs it
once as a process of its own, for workers that live in another environment.

What the real worker does with a still picture is done by the project's own puppet. Guesses, where
the contract is silent: two voices are mixed; a film (V2V) keeps its pictures, holds its last one
under a longer voice, and is given the new sound; the bundled samples are drawn here, and a sample
picture, which shows nobody, only has a bar moving over it.
"""
