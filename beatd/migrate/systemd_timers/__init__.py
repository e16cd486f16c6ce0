"""systemd's timers with the services that they start, read as entries."""
