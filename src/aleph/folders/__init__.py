"""Folders of photos: each is filled, or looked at for damage, by workers; a second run goes on."""

from aleph.folders.damage import DamageOutcome, find_damage_in_folder
from aleph.folders.inpaint import FolderOutcome, inpaint_folder
from aleph.folders.run import OnPhoto, OnProgress, PhotoOutcome

__all__ = [
    "DamageOutcome",
    "FolderOutcome",
    "OnPhoto",
    "OnProgress",
    "PhotoOutcome",
    "find_damage_in_folder",
    "inpaint_folder",
]
