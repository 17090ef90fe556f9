"""`python -m sms_local` is `sms-local`."""

import sys

from sms_local.cli import main

if __name__ == "__main__":
    sys.exit(main())
