"""ReviewCollector: asks customers for a review by text and takes the review in on a page of its own."""
