"""Judges that nobody on this project wrote: import as ``oracle`` from any test."""
