"""The synthetic corpus of the embedded model: one module a skill, plain Python, every draw from a seeded Random."""
