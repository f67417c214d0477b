"""One verb a file: each task calls the core and names its cache key, retry rule and artifact."""
