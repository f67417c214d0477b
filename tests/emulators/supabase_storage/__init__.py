"""A stand-in for Supabase Storage that speaks its protocol over real HTTP.

Started from the repository root with ``python -m tests.emulators.supabase_storage``; ``--help``
lists what can be set. It listens on 127.0.0.1 only and keeps all it knows in one folder. It is the
bare server; with ``--gateway`` it lies under ``/storage/v1`` and takes keys ``sb_secret_…``, as a
hosted project does. Beside the vendor's paths it has two of its own:

- ``GET /_calls``: every request: method, path, bytes of its body, which headers held a key;
- ``POST /_next`` ``{"fault": name, "method": "PATCH", "count": n}``: the next ``n`` calls with
  that method have that fault; ``DELETE /_next`` takes it all back.

A request goes from :mod:`app` to :mod:`buckets`, :mod:`objects` or :mod:`resumable`; all rows lie
in the database of :mod:`state`, all bytes in files beside it.

Where the contract is silent: a chunk that is neither 6 MiB nor the last one is refused (the
vendor's pages ask for that size), a broken chunk keeps the bytes that came, an upload that is
finished tells its whole length, an expired one is gone.
"""
