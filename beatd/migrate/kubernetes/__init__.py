"""Kubernetes' CronJobs, shown as the entries that would do the same."""
