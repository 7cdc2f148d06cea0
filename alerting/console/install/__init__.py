"""The console as an application of a phone: manifest, icons, worker, and how to install it."""
