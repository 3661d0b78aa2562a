"""The four steps for every task on one machine: scheduler, resume, cancel, and the one place that knows all parts."""
