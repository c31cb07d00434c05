"""The Hugging Face Hub as a place, through `huggingface_hub` (the extra `hub`)."""

import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from mbtransfer.errors import UserError
from mbtransfer.sharing.contents import CARD, HUB, MOST_CARD, PAGE, PATTERNS, FileRecord, Kind, copy_checked

if TYPE_CHECKING:
    from huggingface_hub import HfApi

NAME = re.compile(
    r"(?P<name>[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95})(?:@(?P<revision>[\w./-]{1,200}))?"
)

KINDS: tuple[Kind, ...] = ("model", "dataset")

GIT = ".gitattributes"
"""A file that the Hub makes itself."""


class HubRepository:
    """A repository on the Hub; a model's and a dataset's of the same name are two.

    Args:
        name: OWNER/NAME.
        revision: branch, tag or commit to pull; None for the newest.
        public: whether everybody sees a repository that is made.
        api: the client; None for one with the settings and the login of this machine.
    """

    def __init__(
        self, name: str, revision: str | None = None, *, public: bool = False, api: "HfApi | None" = None
    ) -> None:
        self.name, self.revision, self.public = name, revision, public
        self._given = api

    @classmethod
    def named(cls, text: str, *, public: bool = False) -> "HubRepository":
        """The repository hf:OWNER/NAME or hf:OWNER/NAME@REVISION.

        Raises:
            UserError: no such name can be, or the client is not installed.
        """
        found = NAME.fullmatch(text.removeprefix(HUB))
        if found is None:
            raise UserError(f"{text!r} is not hf:OWNER/NAME, such as hf:me/kitchen")
        if find_spec("huggingface_hub") is None:
            raise UserError(f"{text} needs huggingface_hub: pip install 'mbtransfer[hub]'")
        return cls(found["name"], found["revision"], public=public)

    def __str__(self) -> str:
        """As a user names it."""
        return f"{HUB}{self.name}" + (f"@{self.revision}" if self.revision else "")

    def check(self, kind: Kind) -> None:
        """See `Place.check`; a repository that holds anything but a model or dataset of ours is not written to."""
        if self.revision:
            raise UserError(f"{self}: push to a repository without a revision; each push is a new one")
        there = self._files(kind)
        if there and CARD not in there and set(there) - {GIT, PAGE}:
            raise UserError(
                f"{self} holds something else ({sorted(set(there) - {GIT, PAGE})[0]}); name a new one"
            )

    def put(self, kind: Kind, files: Mapping[str, Path], records: Mapping[str, FileRecord]) -> str:
        """See `Place.put`: one commit, which also removes the files of an older model there."""
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete

        with self._told():
            self._api.create_repo(self.name, private=not self.public, repo_type=kind, exist_ok=True)
            older = [one for one in self._files(kind) if PATTERNS[kind].fullmatch(one) and one not in files]
            add = [CommitOperationAdd(name, str(path)) for name, path in files.items()]
            remove = [CommitOperationDelete(one) for one in older]
            made = self._api.create_commit(
                self.name, [*add, *remove], commit_message=f"mbtransfer push: {kind}", repo_type=kind
            )
        return f"{self} ({made.commit_url})"

    def get(self, name: str, into: Path, record: FileRecord | None) -> None:
        """See `Place.get`; every file is of the commit that was the newest at the first one."""
        kind, commit = self._found
        with TemporaryDirectory(
            prefix="mbtransfer-hub-", dir=into.parent if into.parent.is_dir() else None
        ) as home:
            with self._told():
                fetched = Path(
                    self._api.hf_hub_download(
                        self.name, name, repo_type=kind, revision=commit, local_dir=home
                    )
                )
            if record is not None:
                copy_checked(fetched, into, record)
            elif fetched.stat().st_size > MOST_CARD:
                raise UserError(f"{self}: {CARD} is too large to be one")
            else:
                shutil.copyfile(fetched, into)

    @cached_property
    def _api(self) -> "HfApi":
        from huggingface_hub import HfApi

        return self._given or HfApi(library_name="mbtransfer")

    @cached_property
    def _found(self) -> tuple[Kind, str]:
        """What kind of repository has a card, and its commit."""
        from huggingface_hub.errors import RepositoryNotFoundError

        for kind in KINDS:
            try:
                with self._told(RepositoryNotFoundError):
                    info: Any = self._api.repo_info(self.name, revision=self.revision, repo_type=kind)
            except RepositoryNotFoundError:
                continue
            if any(one.rfilename == CARD for one in info.siblings or ()):
                return kind, str(info.sha)
        raise UserError(
            f"{self} is not there, is private, or has no {CARD}: it was not written by `mbtransfer push`"
        )

    def _files(self, kind: Kind) -> list[str]:
        """Files there; none where there is no repository."""
        from huggingface_hub.errors import RepositoryNotFoundError

        try:
            with self._told(RepositoryNotFoundError):
                return list(self._api.list_repo_files(self.name, repo_type=kind))
        except RepositoryNotFoundError:
            return []

    @contextmanager
    def _told(self, *passed: type[Exception]) -> Iterator[None]:
        """Tell what the client raises in one line."""
        from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError

        # Among its bases is the error of the HTTP library, which differs between versions of the client.
        failures: tuple[type[Exception], ...] = (
            HfHubHTTPError,
            *HfHubHTTPError.__bases__,
            LocalTokenNotFoundError,
            ValueError,
        )
        try:
            yield
        except passed:
            raise
        except failures as error:
            if isinstance(error, UserError):
                raise
            said = " ".join(str(error).split())[:300] or type(error).__name__
            raise UserError(
                f"{self} cannot be reached or refuses: {said}; log in with `hf auth login`"
            ) from error
