"""What may be asked of the network from this process, and which addresses are this machine's own."""

from __future__ import annotations

import os
from ipaddress import ip_address
from urllib.parse import urlsplit

OFFLINE = "DIPTYCH_OFFLINE"
"""Set where nothing may be asked of the network; see :func:`offline`."""
NO = ("", "0", "false", "no", "off")


def offline() -> bool:
    """Whether this process was told to ask nothing of the network. What reads as a no is one, as of HF_HUB_OFFLINE."""
    return os.environ.get(OFFLINE, "").strip().lower() not in NO


def tell_hub() -> None:
    """Keep the Hub's library offline, too, where this process is. It reads its variable once: call this before anything
    imports it."""
    if offline():
        os.environ["HF_HUB_OFFLINE"] = "1"


def on_this_machine(address: str) -> bool:
    """Whether an address leads nowhere else."""
    return is_loopback(urlsplit(address).hostname)


def is_loopback(host: str | None) -> bool:
    """Whether a host's name or number is this machine's for itself."""
    try:
        return host == "localhost" or ip_address(host or "").is_loopback
    except ValueError:
        return False
