"""Crontabs and anacrontabs, read as their crons read them, become entries; and entries a crontab."""
