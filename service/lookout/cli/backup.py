"""`lookout backup` and `lookout restore`: settings, tokens, models and events in one file, also to another machine.

The file is a zip: `manifest.json`, the settings file and the content of the state folder, with a consistent copy of
events.db whatever the service writes meanwhile.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shlex
import shutil
import sqlite3
import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

import typer

from lookout import __version__
from lookout.cli.settings_flags import CONFIG_HELP
from lookout.errors import LookoutError, StateFolderUnusable
from lookout.settings.installation import user_name
from lookout.settings.layers import LoadedSettings
from lookout.terminal import say, size

_MANIFEST, _SETTINGS, _STATE = "manifest.json", "settings/lookout.toml", "state"
_FORMAT = 1
_DATABASE = PurePosixPath("events/events.db")
# Files that mean something only on this machine while it runs.
_LEFT_OUT = frozenset({"lock", "written.json"})
_BEFORE = "before-restore"
_PICTURES = frozenset({".jpg", ".webp", ".onnx"})  # compressed already
_MAX_ENTRIES = 1_000_000
_Config = Annotated[Path | None, typer.Option("--config", "-c", metavar="FILE", help=CONFIG_HELP)]


class BackupUnusable(LookoutError):
    """The file is not a backup of Lookout's, or it is damaged."""

    code = "backup_unusable"
    title = "This backup cannot be used"
    exit_code = 2


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The zip file to write; an older one is replaced.")],
    pictures: Annotated[bool, typer.Option("--pictures/--no-pictures", help="Include the pictures of events.")] = True,
    config: _Config = None,
) -> None:
    """Write settings, tokens, models and events to one file. The service may run meanwhile.

    Keep the file as safe as the service: it contains the camera's password and what the camera saw.
    """
    from lookout.cli.state_folder import settings_for

    loaded = settings_for(f"backup {shlex.quote(str(file))}", "settings", config)
    beside = file.with_name(f".{file.name}.{os.getpid()}.new")
    try:
        with contextlib.ExitStack() as stack:
            descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
            output = stack.enter_context(os.fdopen(descriptor, "wb"))
            archive = stack.enter_context(zipfile.ZipFile(output, "w"))
            count = _pack(archive, loaded, beside.with_suffix(".db"), pictures)
        beside.replace(file)
    except OSError as error:
        raise BackupUnusable(f"{file} cannot be written: {error.strerror or error}.", _place_for(error)) from error
    finally:
        beside.unlink(missing_ok=True)
        beside.with_suffix(".db").unlink(missing_ok=True)
    say(f"{file}: {count} files, {size(file.stat().st_size)}. It holds passwords and pictures: keep it safe.")


def _place_for(error: OSError) -> str:
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"Name a place where {user_name(os.geteuid())} may write, such as /var/tmp."
    if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.EISDIR):
        return "Name a file in a folder that exists."
    return "Name a place with enough free space."


def _pack(archive: zipfile.ZipFile, loaded: LoadedSettings, copy: Path, pictures: bool) -> int:
    """Write everything to the archive and return the number of files. copy: a temporary path for the events."""
    folder, count = loaded.state_folder, 0
    archive.writestr(_MANIFEST, json.dumps({"lookout": __version__, "format": _FORMAT}))
    if loaded.config is not None and loaded.config.is_file():
        _add(archive, loaded.config, _SETTINGS)
        count += 1
    if (folder / _DATABASE).is_file():
        _copy_database(folder / _DATABASE, copy)  # before the pictures, so that each of its rows has its picture
        _add(archive, copy, f"{_STATE}/{_DATABASE}")
        count += 1
    for path in _files(folder):
        name = PurePosixPath(path.relative_to(folder).as_posix())
        if not pictures and name.parts[0] == "events":
            continue
        with contextlib.suppress(FileNotFoundError):  # deleted meanwhile
            _add(archive, path, f"{_STATE}/{name}")
            count += 1
    return count


def _files(folder: Path) -> Iterator[Path]:
    """Yield the files to back up: no locks, no half-written files, nothing outside the folder that a link leads to."""
    for top, inside, names in os.walk(folder):
        inside[:] = [name for name in inside if name != _BEFORE and not (Path(top) / name).is_symlink()]
        for name in names:
            path = Path(top) / name
            is_left_out = Path(top) == folder and name in _LEFT_OUT
            is_database = Path(top) == folder / "events" and name.startswith("events.db")
            if is_left_out or is_database or (name.startswith(".") and name.endswith(".new")):
                continue
            if stat.S_ISREG(path.lstat().st_mode):
                yield path


def _add(archive: zipfile.ZipFile, path: Path, name: str) -> None:
    info = zipfile.ZipInfo.from_file(path, name, strict_timestamps=False)
    info.compress_type = zipfile.ZIP_STORED if path.suffix in _PICTURES else zipfile.ZIP_DEFLATED
    with path.open("rb") as source, archive.open(info, "w") as target:
        shutil.copyfileobj(source, target, 2**20)


def _copy_database(source: Path, copy: Path) -> None:
    """Write a consistent copy of the database, even while the service writes to it. Raises BackupUnusable."""
    try:
        copy.unlink(missing_ok=True)
        with (
            contextlib.closing(sqlite3.connect(f"file:{source.as_posix()}?mode=ro", uri=True)) as there,
            contextlib.closing(sqlite3.connect(copy)) as here,
        ):
            there.backup(here)
            here.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.Error as error:
        raise BackupUnusable(
            f"The events cannot be copied: {error}.", "`lookout events check` repairs them."
        ) from error


# --- restoring ------------------------------------------------------------------------------------------------------


def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file that `lookout backup` wrote.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    config: _Config = None,
) -> None:
    """Replace the settings, tokens, models and events with those of a backup.

    The service must not run. What was there stays in `before-restore` in the state folder until you delete it. Files
    belong to the owner of the state folder afterwards: on a Pi, run it with sudo and STATE_DIRECTORY=/var/lib/lookout.
    """
    from lookout.settings.sources import load
    from lookout.storage import sole_use
    from lookout.storage.atomic_files import make_folder

    loaded = load({}, config)
    folder = loaded.state_folder
    try:
        make_folder(folder)
        with sole_use(folder), _opened(file) as archive:
            names = _checked(archive, folder)
            if any(folder.iterdir()) and not yes and not typer.confirm(f"Replace what is in {folder}?"):
                raise typer.Abort
            fresh = folder / f".restore.{os.getpid()}.new"
            try:
                _unpack(archive, names, fresh)
                _check_database(fresh / _DATABASE)
                _swap(fresh, folder)
            finally:
                shutil.rmtree(fresh, ignore_errors=True)
            _own(folder)
            _put_settings(archive, loaded)
    except OSError as error:
        raise StateFolderUnusable(
            f"{error.filename or folder} cannot be written: {error.strerror or error}.",
            "Free some space, or run this as the owner of the folder.",
        ) from error
    say(f"{len(names)} files are back in {folder}; what was there before is in {folder / _BEFORE}. Start the service.")


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[zipfile.ZipFile]:
    """Open a backup. Raises BackupUnusable."""
    try:
        with zipfile.ZipFile(file) as archive:
            report: Any = json.loads(archive.read(_MANIFEST))
            if not isinstance(report, dict) or report.get("format") != _FORMAT:
                raise BackupUnusable(f"{file} was written by another version of Lookout.", "Update this one first.")
            yield archive
    except FileNotFoundError as error:
        raise BackupUnusable(f"There is no file {file}.", "Name one that `lookout backup` wrote.") from error
    # NotImplementedError is zipfile's word for a compression method that it does not know.
    except (zipfile.BadZipFile, NotImplementedError, KeyError, ValueError, EOFError) as error:
        raise BackupUnusable(f"{file} is not a backup, or it is damaged: {error}.", "Use another one.") from error


def _checked(archive: zipfile.ZipFile, folder: Path) -> list[str]:
    """Return the names of the entries for the state folder. Raises BackupUnusable."""
    infos = [info for info in archive.infolist() if info.filename.startswith(f"{_STATE}/") and not info.is_dir()]
    needed, free = sum(info.file_size for info in infos), shutil.disk_usage(folder).free
    for info in infos:
        path = PurePosixPath(info.filename)
        if path.is_absolute() or ".." in path.parts or "\\" in info.filename or len(path.parts) < 2:
            raise BackupUnusable(
                f'The backup contains a file outside its folder: "{info.filename}".', "Do not trust it."
            )
    if len(infos) > _MAX_ENTRIES or needed > free:
        raise BackupUnusable(
            f"The backup needs {size(needed)}, and {size(free)} are free.", "Free some space, or set state.folder."
        )
    return [info.filename for info in infos]


def _unpack(archive: zipfile.ZipFile, names: list[str], fresh: Path) -> None:
    """Unpack into a new folder, verifying checksums. Only the owner may read the files, whatever the archive says."""
    from lookout.storage.atomic_files import make_folder

    for name in names:
        target = fresh / PurePosixPath(name).relative_to(_STATE)
        make_folder(target.parent)
        with archive.open(name) as source, target.open("xb") as output:
            shutil.copyfileobj(source, output, 2**20)
            output.flush()
            os.fsync(output.fileno())
        target.chmod(0o600)


def _check_database(path: Path) -> None:
    if not path.exists():
        return
    try:
        with contextlib.closing(sqlite3.connect(path)) as connection:
            good = connection.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok"
    except sqlite3.Error:
        good = False
    if not good:
        raise BackupUnusable("The events in the backup are damaged.", "Use another one.")


def _swap(fresh: Path, folder: Path) -> None:
    """Move the current files aside, then the new ones into place: a crash in between loses nothing."""
    before = folder / _BEFORE
    shutil.rmtree(before, ignore_errors=True)
    before.mkdir(mode=0o700)
    for path in list(folder.iterdir()):
        if path not in (before, fresh) and path.name not in _LEFT_OUT:
            path.replace(before / path.name)
    for path in list(fresh.iterdir()):
        path.replace(folder / path.name)


def _own(folder: Path) -> None:
    """Give all files to the owner of the folder, if this runs as root."""
    if os.geteuid() != 0:
        return
    owner = folder.stat()
    for top, inside, names in os.walk(folder):
        for name in (*inside, *names):
            os.chown(Path(top) / name, owner.st_uid, owner.st_gid, follow_symlinks=False)


def _put_settings(archive: zipfile.ZipFile, loaded: LoadedSettings) -> None:
    """Write the settings file; if a different one exists, write it beside that one, so that people can compare."""
    from lookout.settings.folders import MACHINE_CONFIG
    from lookout.settings.installation import SERVICE_FOLDER

    if _SETTINGS not in archive.namelist():
        return
    content = archive.read(_SETTINGS)
    home = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "lookout/lookout.toml"
    is_service = loaded.state_folder == SERVICE_FOLDER or "STATE_DIRECTORY" in os.environ
    target = loaded.config or (MACHINE_CONFIG if is_service else home)
    if target.exists():
        if target.read_bytes() == content:
            return
        target = target.with_name("lookout.toml.from-backup")
        say(f"There is a settings file already: that of the backup is in {target}.")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)
    target.chmod(0o640)
    if os.geteuid() == 0:  # the service must be able to read it
        os.chown(target, -1, loaded.state_folder.stat().st_gid)
