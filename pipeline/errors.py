"""The only errors a user is shown. Each message is one sentence: what was wrong, with what value, what to do.

``shown`` puts a value into such a sentence.
"""


class PlaygroundError(Exception):
    """Base of everything that may reach a page, the API or stderr."""


class InputError(PlaygroundError):
    """A field of a request is wrong. Nothing has run."""


class ModelError(PlaygroundError):
    """A model cannot be found, read, loaded or run on this machine."""


class BatchTooLarge(ModelError):
    """So many pictures at once cannot be made on this machine; fewer can."""


class Declined(ModelError):
    """This one picture is not to be had: a provider will not draw it, or what was drawn cannot be shown. Of many, the
    others may be."""


class BusyError(PlaygroundError):
    """The line for the device is full."""


class Cancelled(PlaygroundError):
    """The run was stopped by the person who asked for it."""


def shown(value: object) -> str:
    """A value as it may stand in a message: short, on one line."""
    try:
        text = repr(value)
    except ValueError:  # Python refuses to print whole numbers of more than 4,300 digits
        return "a number of thousands of digits"
    return text if len(text) <= 60 else f"{text[:57]}…"
