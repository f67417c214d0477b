"""A stand-in for RunPod's queue-based serverless endpoints that speaks their protocol over HTTP.

Started from the repository root with ``python -m tests.emulators.runpod``; ``--help`` lists what
can be set. It listens on 127.0.0.1 only, fetches nothing but the inputs it is told to, calls
webhooks on this machine only, keeps all it knows in one folder, and renders for real: behind every
endpoint stand workers that answer as InfiniteTalk does (:mod:`infinitetalk`), or, with
``--external-workers``, those that attach themselves as the vendor's worker SDK does
(:mod:`worker_handler` is one). Beside the vendor's paths it has three of its own:

- ``GET /_bill``: every job ever accepted, and what it cost;
- ``GET /_faults``: the faults it can play, and how often each struck;
- ``POST /_next`` ``{"fault": name, "count": n}``: the next ``n`` run calls have that fault.

A request goes from :mod:`app` (who asks, which path) to :mod:`submission`, :mod:`operations` or
:mod:`attachment`; :mod:`lifecycle` takes a job from one status to the next, on the clock of
:mod:`clockwork`; :mod:`built_in` are the workers; all rows lie in the database of :mod:`state`.

Guesses, where the contract is silent: a policy or a wait out of its range is refused with 400; a
job that has ended is answered by /cancel as it stands, and may not be retried unless it failed; a
purged job is gone (404); /requests shortens long strings of the input and lists 100 jobs unless
told otherwise; a result is gone for its webhook when it is lost for /status.

Not emulated: the limits on calls at once, throttled or initializing workers, /batch, s3Config, and
the network volume's S3 (its files lie in the folder ``volume``). Attached workers are real, so the
faults of a run (``crash``, ``hang``, ``wrong_size`` and the like) do not strike them.
"""
