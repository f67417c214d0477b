"""A stand-in for the Sync.so Generate API v2 that speaks its protocol over real HTTP.

Started from the repository root with ``python -m tests.emulators.sync_so``; ``--help`` lists what
can be set. It listens on 127.0.0.1 only, fetches nothing but the inputs it is told to, keeps all
it knows in one folder, and renders for real. Beside the vendor's paths it has four of its own:

- ``GET /_bill``: what was paid, job by job;
- ``GET /_faults``: the faults it can play, and how often each struck;
- ``POST /_next`` ``{"fault": name, "count": n}``: the next ``n`` create calls have that fault;
- ``/_output/…`` and ``/_storage/…``: the bucket that signed addresses lead to.

A request goes from :mod:`app` (who asks, which path) to :mod:`creation`, :mod:`generations`,
:mod:`costing`, :mod:`assets`, :mod:`batches` or :mod:`bucket`; what happens after the answer is in
:mod:`emulator`; all rows lie in the database of :mod:`state`.

Where the contract is silent: a replay is answered like the first call, and only an accepted call
uses up its key; calls at once under one key wait for each other; a REJECTED job is not told to its
webhook; webhooks are called on this machine only.
"""
