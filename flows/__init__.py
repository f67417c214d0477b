"""One file for each thing a person runs.

Prefect reads its settings when it is first imported, so what this project needs of them stands
here; a setting already in the environment wins.
"""

import os

_SETTINGS = {
    # nothing phones home
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_UI_V2_ENABLED": "false",  # it calls its makers whatever the line above says
    # the embedded server: slow first start, then no flood of its own log lines
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "90",
    "PREFECT_LOGGING_SERVER_LEVEL": "CRITICAL",
    # SQLite keeps up only when task events are written in batches
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "100",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_BATCH_SIZE": "200",
}
for _name, _value in _SETTINGS.items():
    os.environ.setdefault(_name, _value)
