"""The folder of the archive, or of backups: on a disk, or in a bucket through Arrow's file
systems."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from alerting.adapters.object_store import object_store
from alerting.deferred import fs, pa
from alerting.definitions.faults import Unreachable, UserError, first_line, shown


@dataclass(frozen=True)
class ArchiveFolder:
    """A folder of files. `address`: an absolute path, or s3://bucket/folder, gs://…, az://….
    `title` and `setting` name it in messages."""

    address: str
    title: str = "archive"
    setting: str = "ALERTING_ARCHIVE"

    @cached_property
    def _root(self) -> tuple[Any, str]:
        if "://" not in self.address:
            return fs.LocalFileSystem(), self.address.rstrip("/")
        scheme, _, path = self.address.partition("://")
        return object_store(f"{scheme}://"), path.rstrip("/")

    def path(self, name: str) -> str:
        """Return the path of a file of the archive on its file system.

        Raises UserError if the name leads out of the folder, or by a link to another place.
        """
        parts = name.split("/")
        if {"", ".", ".."}.intersection(parts) or "\0" in name:
            raise UserError(
                f"{shown(name)} is no name of a file in the {self.title} {self.address}"
            )
        system, root = self._root
        if system.type_name == "local":
            for number in range(len(parts)):
                if Path(below := "/".join([root, *parts[: number + 1]])).is_symlink():
                    raise UserError(
                        f"{below} is a link: the {self.title} follows none; put the file or folder "
                        "itself there"
                    )
        return f"{root}/{name}"

    def open(self, name: str) -> Any:
        """Return a file that can be read from any position."""
        with self.errors():
            return self._root[0].open_input_file(self.path(name))

    @contextmanager
    def create(self, name: str) -> Iterator[Any]:
        """Yield a new file to write; it is on the disk or complete in the store at the end."""
        system = self._root[0]
        path = self.path(name)
        is_local = system.type_name == "local"
        with self.errors():
            if is_local:
                system.create_dir(path.rpartition("/")[0], recursive=True)
            with system.open_output_stream(path, compression=None) as stream:
                yield stream
            if is_local:
                for one in (
                    Path(path),
                    *Path(path).parents[:3],
                ):  # the folders of month and asset are new too, at first
                    handle = os.open(one, os.O_RDONLY)
                    try:
                        os.fsync(handle)
                    finally:
                        os.close(handle)

    def has(self, name: str) -> bool:
        """Return whether a file is there."""
        with self.errors():
            return bool(self._root[0].get_file_info(self.path(name)).type == fs.FileType.File)

    def delete(self, name: str) -> bool:
        """Delete a file; return whether it was there."""
        if is_there := self.has(name):
            with self.errors():
                self._root[0].delete_file(self.path(name))
        return is_there

    def folders(self) -> list[str]:
        """Return the names of the folders in it, sorted. Raises Unreachable if it is missing."""
        system, root = self._root
        with self.errors():
            is_local = system.type_name == "local"
            found = system.get_file_info(fs.FileSelector(root, allow_not_found=not is_local))
        return sorted(i.base_name for i in found if i.type == fs.FileType.Directory)

    def delete_folder(self, name: str) -> None:
        """Delete a folder with all that is in it."""
        with self.errors():
            self._root[0].delete_dir(self.path(name))

    def names(self) -> dict[str, int]:
        """Return the size of each file by its name."""
        system, root = self._root
        with self.errors():
            found = system.get_file_info(
                fs.FileSelector(root, allow_not_found=True, recursive=True)
            )
        return {
            info.path.removeprefix(f"{root}/"): info.size
            for info in found
            if info.type == fs.FileType.File
        }

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Raise Unreachable that names the archive, for a file or server that cannot be reached."""
        try:
            yield
        except FileNotFoundError as error:
            raise Unreachable(
                f"the {self.title} {self.address} lacks a file that is recorded: mount it, correct "
                f"{self.setting}, or bring the "
                f"file back ({first_line(error)})"
            ) from error
        except (OSError, pa.ArrowInvalid) as error:
            raise Unreachable(
                f"the {self.title} {self.address} cannot be used: {first_line(error)}"
            ) from error
