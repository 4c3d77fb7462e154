"""Errors that users meet, as one tree ordered by cause.

An error that only one room raises is defined in that room, as a leaf of this tree: `events/errors.py`, `cli/token.py`.

LookoutError
  SettingInvalid
  SettingFixed
  CameraError
    CameraAbsent
    CameraBusy
    CameraDenied
    CameraSilent
      CameraWaiting
    CameraUnsupported
    CameraRepeats
  ModelError
    UnknownModel
    ModelRejected
    ModelBusy
  PictureError
    PictureTooLarge
    PictureUnsupported
    PictureUnreadable
    DecoderUnavailable
  ResultsUnusable
  ClusterUnusable
  NoFrame
  TooBusy
  TooManyAttempts
  NotAuthorised
  Forbidden
    ScopeMissing
  RequestInvalid
  AddressInUse
  StateFolderUnusable
    StateFolderInUse
    DiskBudgetSpent
    DiskFull
    DiskReadOnly
    DiskSlow
    DiskGone
    DiskVolatile
    DiskFailing

Each class has a stable `code`, the HTTP `status` of the API's response and the `exit_code` of the command line. An
instance adds one sentence on what happened (`detail`) and one on what to do about it (`remedy`). Command line, API and
log print the same two sentences.
"""

from __future__ import annotations

from dataclasses import dataclass


class LookoutError(Exception):
    """The root: an error that the user can do something about.

    `detail` is one sentence on what happened, `remedy` one on what helps.
    """

    code = "error"
    title = "Something went wrong"
    status = 500
    exit_code = 1

    def __init__(self, detail: str, remedy: str = "") -> None:
        super().__init__(detail)
        self.detail = detail
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.detail} {self.remedy}".strip()


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong, as the state reports it: an error's code and its two sentences."""

    code: str
    detail: str
    remedy: str

    @classmethod
    def of(cls, error: LookoutError) -> Fault:
        return cls(error.code, error.detail, error.remedy)


# --- settings -------------------------------------------------------------------------------------------------


class SettingInvalid(LookoutError):
    """A setting has an unknown name, a wrong type or a value out of range."""

    code = "setting_invalid"
    title = "A setting is not valid"
    status = 422
    exit_code = 3


class SettingFixed(LookoutError):
    """The setting exists, but cannot be changed while the service runs."""

    code = "setting_fixed"
    title = "This setting cannot be changed here"
    status = 409
    exit_code = 3


# --- the camera -----------------------------------------------------------------------------------------------


class CameraError(LookoutError):
    """A source cannot deliver frames."""

    code = "camera_fault"
    title = "The camera does not work"
    status = 503
    exit_code = 4


class CameraAbsent(CameraError):
    """There is no such camera, file or stream."""

    code = "camera_absent"
    title = "No camera found"


class CameraBusy(CameraError):
    """Another program holds the camera."""

    code = "camera_busy"
    title = "The camera is in use"


class CameraDenied(CameraError):
    """The camera is there, but this user or this password may not use it."""

    code = "camera_denied"
    title = "The camera refuses access"


class CameraSilent(CameraError):
    """No frame came before the deadline."""

    code = "camera_silent"
    title = "The camera sends nothing"


class CameraWaiting(CameraSilent):
    """No frame came before the deadline, but the source works: its data arrives, or no frame is due yet."""

    code = "camera_waiting"
    title = "The first picture has not come yet"


class CameraUnsupported(CameraError):
    """The software to drive this kind of source is missing, or the address is not understood."""

    code = "camera_unsupported"
    title = "This source cannot be used here"


class CameraRepeats(CameraError):
    """The camera delivers the same picture again and again: its driver is stuck."""

    code = "camera_repeats"
    title = "The camera repeats one picture"


# --- models ---------------------------------------------------------------------------------------------------


class ModelError(LookoutError):
    """A model cannot be used."""

    exit_code = 3


class UnknownModel(ModelError):
    """No model of that name is installed."""

    code = "unknown_model"
    title = "There is no such model"
    status = 404


class ModelRejected(ModelError):
    """The model's files do not match its card, or are not a model at all."""

    code = "model_rejected"
    title = "The model cannot be used"
    status = 422


class ModelBusy(ModelError):
    """Another change of model is under way."""

    code = "model_busy"
    title = "Another model is being loaded"
    status = 409


# --- pictures -------------------------------------------------------------------------------------------------


class PictureError(LookoutError):
    """A picture that was sent or named cannot be classified."""


class PictureTooLarge(PictureError):
    """The picture has too many bytes or pixels, or decoding it takes more memory or time than is allowed."""

    code = "picture_too_large"
    title = "The picture is too large"
    status = 413


class PictureUnsupported(PictureError):
    """The picture is not in a format that Lookout reads."""

    code = "picture_unsupported"
    title = "This is not a picture Lookout can read"
    status = 415


class PictureUnreadable(PictureError):
    """The format is known, but the file cannot be decoded."""

    code = "picture_unreadable"
    title = "The picture cannot be decoded"
    status = 422


class DecoderUnavailable(PictureError):
    """The machine has no memory or process to spare at the moment to decode any picture."""

    code = "decoder_unavailable"
    title = "Pictures cannot be decoded at the moment"
    status = 503


# --- many pictures --------------------------------------------------------------------------------------------


class ResultsUnusable(LookoutError):
    """The file of results to continue belongs to another program or model, is in use, or cannot be written."""

    code = "results_unusable"
    title = "The results cannot be kept there"


class ClusterUnusable(LookoutError):
    """The other machines that should classify pictures cannot be reached, or lack something that this needs."""

    code = "cluster_unusable"
    title = "The pictures cannot be classified on other machines"


# --- the server -----------------------------------------------------------------------------------------------


class NoFrame(LookoutError):
    """There is no picture to show."""

    code = "no_frame"
    title = "There is no picture yet"
    status = 503


class TooBusy(LookoutError):
    """There are more requests than can be served."""

    code = "too_busy"
    title = "Too many requests at once"
    status = 429


class TooManyAttempts(LookoutError):
    """There were more wrong tokens than a mistake explains: for a short time, none is checked."""

    code = "too_many_attempts"
    title = "Too many wrong tokens"
    status = 429


class NotAuthorised(LookoutError):
    """No valid token came with the request."""

    code = "not_authorised"
    title = "A token is needed"
    status = 401


class Forbidden(LookoutError):
    """The request comes from a page or for a host that is not allowed."""

    code = "forbidden"
    title = "This request is not allowed"
    status = 403


class ScopeMissing(Forbidden):
    """The token is valid, but its scope does not allow this."""

    code = "scope_missing"
    title = "This token may not do that"


class RequestInvalid(LookoutError):
    """A parameter or the body does not have the documented form."""

    code = "request_invalid"
    title = "The request is not valid"
    status = 422


class AddressInUse(LookoutError):
    """Another program listens on the port."""

    code = "address_in_use"
    title = "The port is taken"
    exit_code = 5


class StateFolderUnusable(LookoutError):
    """The state folder cannot be written."""

    code = "state_folder_unusable"
    title = "The state folder cannot be used"
    status = 507
    exit_code = 3


class StateFolderInUse(StateFolderUnusable):
    """Another Lookout runs on the same state folder."""

    code = "state_folder_in_use"
    title = "The state folder is in use"
    exit_code = 5


class DiskBudgetSpent(StateFolderUnusable):
    """The settings allow no more to be written today, or to be kept in total."""

    code = "disk_budget_spent"
    title = "The budget for writing to disk is spent"


class DiskFull(StateFolderUnusable):
    """The disk that holds the state folder has no space left."""

    code = "disk_full"
    title = "The disk is full"


class DiskReadOnly(StateFolderUnusable):
    """The disk that holds the state folder is mounted read-only."""

    code = "disk_read_only"
    title = "The disk is read-only"


class DiskSlow(StateFolderUnusable):
    """The disk that holds the state folder has not responded for seconds."""

    code = "disk_slow"
    title = "The disk does not answer"


class DiskGone(StateFolderUnusable):
    """The disk that held the state folder is missing."""

    code = "disk_gone"
    title = "The disk is gone"


class DiskVolatile(StateFolderUnusable):
    """What is written to the state folder is kept in memory until the machine restarts."""

    code = "disk_volatile"
    title = "Changes are lost at a restart"


class DiskFailing(StateFolderUnusable):
    """The disk that holds the state folder answers with errors."""

    code = "disk_failing"
    title = "The disk fails"
