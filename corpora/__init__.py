"""A fictional world with ground truth, documents made from it, and the lab model that is trained on it."""
