"""`python -m ctrlx` is `ctrlx`."""

import sys

from ctrlx.cli.app import main

sys.exit(main())
