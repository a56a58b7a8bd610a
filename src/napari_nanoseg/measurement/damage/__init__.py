"""How cracked the particles of a volume are, where, and what that depends on: computed in slabs of any volume."""
