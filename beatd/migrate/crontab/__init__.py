"""User crontabs, read as Debian's cron reads them, become shell entries."""
