"""Pictures and their colour: reading of files that are not JPEG, ICC profiles, transforms."""
