"""`dth task` and its commands."""

from transferhub.cli.commands.task import events, files, images, looking, making, steering
from transferhub.cli.grouped import Family

HELP = """Create, change, start and stop the tasks of a hub.

A task says what is moved from where to where, and when. These commands work on this machine's
state, which `dth up` serves; or, after --server URL, on a hub elsewhere.
"""

command = Family(
    "task",
    [
        *looking.COMMANDS,
        *files.COMMANDS,
        *making.COMMANDS,
        *images.COMMANDS,
        *steering.COMMANDS,
        *events.COMMANDS,
    ],
    short_help="Create, change, start and stop the tasks of a hub.",
    help=HELP,
)
