"""The actions of `manage.py concurrency`, by what they are about: pools, the run queue, the configuration file."""
