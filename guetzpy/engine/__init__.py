"""Reading one picture, and optimising, repacking, comparing or describing it."""
