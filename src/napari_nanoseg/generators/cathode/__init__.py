"""The cathode generator: packed, cracked secondary particles as volumes, seen by an X-ray tomograph."""
