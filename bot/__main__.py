"""python -m bot is textwright."""

import sys

from bot.cli import main

sys.exit(main())
