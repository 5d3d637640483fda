"""Your own images in folders: FOLDER/CLASS/*.png, one folder a class (also jpg, bmp, gif, tif, webp).

Choose it for pictures that lie in files. With FOLDER/train/CLASS and FOLDER/test/CLASS the test split is yours.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from archip.core.errors import MissingExtra, UserError
from archip.data._cache import user_file
from archip.data._dataset import Adapter, Count, Share
from archip.data._raw import Raw

__all__ = ["ImageFolder"]

_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp"}


@dataclass
class ImageFolder(Adapter):
    """Images by class folder; the classes are the folders' names in alphabetical order."""

    path: str  # the folder
    size: Count | None = None  # pixels: images are scaled to size x size; None: all must have one size
    colour: Literal["rgb", "grey"] = "rgb"  # grey: one channel
    test: Share | None = None  # share to draw for test if there is no folder test; None: 0.2

    how: ClassVar[str] = "option path: your folder"

    def read(self) -> Raw:
        root = user_file(self.path)
        has_test = (root / "train").is_dir() and (root / "test").is_dir()
        if has_test and self.test is not None:
            raise UserError(f"{root} has a folder test of its own", "test", "leave the option out")
        train = root / "train" if has_test else root
        classes = tuple(sorted(p.name for p in train.iterdir() if p.is_dir())) if train.is_dir() else ()
        if not classes:
            raise UserError("has no folders", str(train), "one folder for each class, with images in it")
        x, y = self._images(train, classes)
        return Raw(
            name=root.name,
            task="classification",
            axes="NCHW",
            x=x,
            y=y,
            test=self._images(root / "test", classes, x.shape[1:]) if has_test else self.test or 0.2,
            classes=classes,
            where=str(root),
            source=str(root),
            names=("images", "folders", "test images", "test folders"),
        )

    def _images(
        self, folder: Path, classes: tuple[str, ...], shape: tuple[int, ...] | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Images [N, C, H, W] and class numbers [N] below `folder`, all of one shape."""
        unknown = sorted(p.name for p in folder.iterdir() if p.is_dir() and p.name not in classes)
        if unknown:
            raise UserError(f"the class {unknown[0]!r} has no training folder", str(folder), ", ".join(classes))
        images, labels = [], []
        for number, name in enumerate(classes):
            files = sorted(p for p in (folder / name).glob("*") if p.suffix.lower() in _SUFFIXES)
            if not files:
                raise UserError("has no images", str(folder / name), " ".join(sorted(_SUFFIXES)))
            for file in files:
                images.append(self._image(file))
                labels.append(number)
                shape = shape or images[0].shape
                if images[-1].shape != shape:
                    found, first = "{2} x {1}".format(*images[-1].shape), "{2} x {1}".format(*shape)
                    raise UserError(f"is {found} pixels, others are {first}", str(file), "set the option size")
        return np.stack(images), np.array(labels)

    def _image(self, file: Path) -> np.ndarray:
        Image = _pillow()
        try:
            with Image.open(file) as image:
                image = image.convert("RGB" if self.colour == "rgb" else "L")
                if self.size is not None:
                    image = image.resize((self.size, self.size), Image.Resampling.BILINEAR)  # averages when shrinking
                pixels = np.asarray(image)
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise UserError(f"cannot be read: {error}", str(file), "an image file") from None
        return np.moveaxis(np.atleast_3d(pixels), -1, 0)


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError:
        raise MissingExtra("pillow", "data", "the data set image_folder") from None
    return Image
