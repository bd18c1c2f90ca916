"""Reading one picture, and optimising, comparing or describing it."""
