"""The errors for pictures that cannot be decoded: one sentence and a remedy for each kind."""

from __future__ import annotations

from lookout.errors import DecoderUnavailable, PictureTooLarge, PictureUnreadable, PictureUnsupported

_AGAIN = "Send the file again; if that does not help, open it in a picture viewer and save a copy."
_SIMPLER = "Save a copy as a baseline JPEG, or smaller. The limit follows from upload.max_pixels."


def unsupported(what: str) -> PictureUnsupported:
    """A valid picture of a kind that the decoder does not support."""
    return PictureUnsupported(
        f"This is {what}, which Lookout cannot read.", "Save a copy as a JPEG or PNG with 8 bits per channel."
    )


def cut_off() -> PictureUnreadable:
    return PictureUnreadable("The picture ends too early: part of the file is missing.", _AGAIN)


def broken(why: str) -> PictureUnreadable:
    return PictureUnreadable(f"The picture is damaged: {why}.", _AGAIN)


def undecodable() -> PictureUnreadable:
    """The decoder failed without saying why."""
    return PictureUnreadable(
        "The picture cannot be decoded: it is damaged, or stored in a way that Lookout does not know.", _AGAIN
    )


def unread(why: str) -> PictureUnreadable:
    """The file itself could not be read, whatever the picture in it."""
    return PictureUnreadable(f"The picture's file cannot be read: {why}.", "Check the disk or share that holds it.")


def crashed() -> PictureUnreadable:
    """The decoder crashed, which only happens with malicious or badly damaged pictures."""
    return PictureUnreadable("The picture crashes its decoder, so it is most likely damaged.", _AGAIN)


def empty() -> PictureUnsupported:
    return PictureUnsupported("The picture is empty: it has no bytes.", "Send one that other programs can open.")


def too_many_bytes(max_bytes: int) -> PictureTooLarge:
    return PictureTooLarge(
        f"The picture has more than {max_bytes:,} bytes.",
        "Send a smaller picture; the network only sees a small copy of it. The limit is upload.max_bytes.",
    )


def too_many_pixels(width: int, height: int, max_pixels: int, max_side: int) -> PictureTooLarge:
    return PictureTooLarge(
        f"The picture has {width:,} x {height:,} pixels; at most {max_pixels:,} pixels are accepted, and at most "
        f"{max_side:,} a side.",
        "Send a smaller picture. The limit is upload.max_pixels.",
    )


def too_much_memory(limit: int, needed: int | None = None) -> PictureTooLarge:
    """The picture needs too much memory. limit, needed: bytes."""
    takes = f"{needed // 10**6:,} MB of memory" if needed else "more memory than its header says"
    return PictureTooLarge(
        f"The picture takes {takes} to decode, because of how it is stored; at most {limit // 10**6:,} MB are allowed.",
        _SIMPLER,
    )


def too_slow(seconds: float) -> PictureTooLarge:
    return PictureTooLarge(
        f"The picture takes more than {seconds:g} seconds to decode, because of how it is stored.", _SIMPLER
    )


def no_memory() -> DecoderUnavailable:
    """The machine is short of memory, whatever the picture."""
    return DecoderUnavailable(
        "There is too little memory left on this machine to decode the picture.", "Try again in a moment."
    )
