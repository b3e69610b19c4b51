"""Models on the Hugging Face Hub: fetched only when a user names one, shared only when asked.

Of a repository nothing is fetched but the three files of a model folder; none of them is ever
unpickled. What was fetched is kept by `huggingface_hub` and used again without a connection.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from aleph.errors import MissingDependencyError, ModelError
from aleph.models.folder import CARD, CONFIG, WEIGHTS, read_config

SCHEME = "hf://"
"""What a name of a model on the Hub begins with."""

_NAME = re.compile(r"hf://([\w.-]+/[\w.-]+?)(?:@([\w./-]+))?")

_FILES = [CONFIG, WEIGHTS, CARD]


@dataclass(frozen=True)
class HubName:
    """A model on the Hub.

    Attributes:
        repository: `user/model`.
        revision: Commit, tag or branch; None for what is newest.
    """

    repository: str
    revision: str | None

    @classmethod
    def parse(cls, name: str) -> HubName:
        """Read `hf://user/model` or `hf://user/model@revision`.

        Raises:
            ModelError: if it is neither.
        """
        found = _NAME.fullmatch(name)
        if found is None:
            raise ModelError(
                f"'{name}' names no model on the Hub: write hf://user/model, or "
                "hf://user/model@revision to get the same weights for ever"
            )
        return cls(found[1], found[2])


def fetch_model(name: str) -> Path:
    """Fetch a model folder from the Hub, or take it from what was fetched before.

    Args:
        name: `hf://user/model@revision`; without a revision the newest is taken. The folder's own
            name is the commit that was taken: pin that.

    Returns:
        The folder, in the cache of `huggingface_hub`.

    Raises:
        ModelError: if there is no such model, it holds no model folder, or the Hub cannot be
            reached and nothing was fetched before.
        MissingDependencyError: if `huggingface_hub` is not installed.
    """
    wanted, hub = HubName.parse(name), _hub()
    try:
        folder = hub.snapshot_download(
            wanted.repository, revision=wanted.revision, allow_patterns=_FILES
        )
    except (*_broken(hub), hub.errors.LocalEntryNotFoundError) as error:
        raise ModelError(f"'{name}' cannot be fetched: {_first_line(error)}") from None
    except (hub.errors.HFValidationError, ValueError) as error:
        raise ModelError(f"'{name}' names no model on the Hub: {_first_line(error)}") from None
    return Path(folder)


def push_model(folder: str | os.PathLike[str], repository: str, *, private: bool = True) -> str:
    """Share a model folder on the Hub, in one commit.

    Args:
        folder: The model folder.
        repository: `user/model`; made if it is not there.
        private: Whether a repository that is made is seen by its owner alone.

    Returns:
        The name that fetches just this model: `hf://user/model@commit`.

    Raises:
        ModelError: if the folder is no model folder, or the Hub refuses it.
        MissingDependencyError: if `huggingface_hub` is not installed.
    """
    wanted, hub = HubName.parse(f"{SCHEME}{repository}"), _hub()
    read_config(Path(folder))
    api = hub.HfApi()
    try:
        api.create_repo(wanted.repository, private=private, exist_ok=True)
        commit = api.upload_folder(
            repo_id=wanted.repository,
            folder_path=folder,
            allow_patterns=_FILES,
            commit_message="A model of aleph",
        )
    except (*_broken(hub), hub.errors.HFValidationError) as error:
        raise ModelError(f"'{repository}' cannot be written: {_first_line(error)}") from None
    return f"{SCHEME}{wanted.repository}@{commit.oid}"


def _hub() -> ModuleType:
    try:
        import huggingface_hub
        import huggingface_hub.errors
    except ModuleNotFoundError:
        raise MissingDependencyError(
            "models on the Hub need huggingface_hub: pip install 'aleph-inpainting[hub]'"
        ) from None
    return huggingface_hub


def _broken(hub: ModuleType) -> tuple[type[Exception], ...]:
    """Return the errors of a connection that fails, whichever HTTP client `huggingface_hub` uses.

    Its own error is one of that client's and names what both have in common.
    """
    return OSError, *hub.errors.HfHubHTTPError.__bases__


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
