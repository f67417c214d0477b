"""The storage of a Supabase project, spoken to over HTTP."""
