"""Code that runs in Lambda."""

import gc

COLLECTION_THRESHOLDS = gc.get_threshold()
"""Python's own, in force again once a function has started."""

# A start makes more than a hundred thousand objects that live as long as the process. Looking through them
# for garbage, again and again while more come, finds a few dozen and takes a tenth of a cold start. So nearly
# nothing is collected until `observability.instrumented` ends the start.
gc.set_threshold(200_000)
