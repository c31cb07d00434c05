"""Where models and datasets are pushed to and pulled from: a folder, or the Hugging Face Hub."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, runtime_checkable

from mbtransfer.errors import UserError
from mbtransfer.runtime.files import appearing
from mbtransfer.sharing.contents import CARD, HUB, MOST_CARD, FileRecord, Kind, copy_checked


@runtime_checkable
class Place(Protocol):
    """Somewhere that holds one model or dataset."""

    def check(self, kind: Kind) -> None:
        """Refuse what cannot be pushed to, before any work.

        Raises:
            UserError: it is taken or cannot be had.
        """

    def put(self, kind: Kind, files: Mapping[str, Path], records: Mapping[str, FileRecord]) -> str:
        """Put files there, all or none, and say where they are.

        Args:
            kind: of what is pushed.
            files: where each is, by its path in the place.
            records: what each must be.

        Raises:
            UserError: it cannot be written, or a file has changed.
        """

    def get(self, name: str, into: Path, record: FileRecord | None) -> None:
        """Fetch one file.

        Args:
            name: path in the place.
            into: where to write it.
            record: what it must be; None for the card, which is checked by its own checksum.

        Raises:
            UserError: it is not there, cannot be had, or is something else.
        """


class Folder:
    """A folder of this machine, or of a disk that it shares."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __str__(self) -> str:
        """The path."""
        return str(self.path)

    def check(self, kind: Kind) -> None:
        """See `Place.check`."""
        refuse_existing(self.path)

    def put(self, kind: Kind, files: Mapping[str, Path], records: Mapping[str, FileRecord]) -> str:
        """See `Place.put`."""
        with appearing(self.path, self.path.parent) as made:
            for name, source in files.items():
                copy_checked(source, made / name, records[name])
        return str(self.path)

    def get(self, name: str, into: Path, record: FileRecord | None) -> None:
        """See `Place.get`."""
        source = self.path / name
        if record is not None:
            copy_checked(source, into, record)
            return
        if not self.path.is_dir():
            raise UserError(
                f"there is no folder {self.path}; name a folder that was pushed, or hf:OWNER/NAME"
            )
        if source.is_symlink() or not source.is_file():
            raise UserError(f"{self.path} has no {CARD}: it was not written by `mbtransfer push`")
        with source.open("rb") as file:
            into.write_bytes(file.read(MOST_CARD + 1))


def find_place(text: str, *, public: bool = False) -> Place:
    """The place that a user names.

    Args:
        text: a path, or hf:OWNER/NAME.
        public: whether a repository that is made there can be seen by everybody.

    Raises:
        UserError: the Hub's client is not installed, or the name is wrong.
    """
    if text.startswith(HUB):
        from mbtransfer.sharing.hub import HubRepository

        return HubRepository.named(text, public=public)
    return Folder(Path(text))


def refuse_existing(path: Path) -> None:
    """See that a folder is new.

    Raises:
        UserError: something is there.
    """
    if path.exists() or path.is_symlink():
        raise UserError(f"{path} is there already; name a new folder")
