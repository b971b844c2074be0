"""Compares the database with the storage, file by file, and remembers what differs.

run.py goes through the phases (known.py, unknown.py, totals.py), compare.py judges one file, pace.py holds it back,
history.py keeps what was found, report.py tells the tracker.
"""
