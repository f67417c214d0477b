"""What a person enters once in the Prefect UI; each can also come from the environment.

``prefect block register -m blocks`` makes them known to a server. Nothing here asks a server for
anything when it is imported.
"""

from blocks.runpod import RunPodCredentials
from blocks.settings import LipsyncSettings
from blocks.supabase import SupabaseCredentials
from blocks.sync_so import SyncSoCredentials

__all__ = ["LipsyncSettings", "RunPodCredentials", "SupabaseCredentials", "SyncSoCredentials"]
