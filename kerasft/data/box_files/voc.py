"""Pascal VOC's XML: `Annotations/<picture>.xml`, as LabelImg and others open it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.etree.ElementTree import Element, ElementTree, SubElement, indent

from kerasft.data.box_files.found import FoundPicture, new_folder
from kerasft.printable import make_line

_SIDES = {"xmin": "left", "ymin": "top", "xmax": "right", "ymax": "bottom"}


def write(path: Path, pictures: Sequence[FoundPicture], label_names: Sequence[str]) -> None:
    """Writes the folder; see `write_boxes`.

    `xmin`, `ymin`, `xmax` and `ymax` are the box's sides, with decimals; an object's `score` stands beside its name.
    """
    with new_folder(path, pictures) as (folder, stems):
        (folder / "Annotations").mkdir()
        for stem, picture in zip(stems, pictures, strict=True):
            ElementTree(_build_xml(picture)).write(folder / "Annotations" / f"{stem}.xml", encoding="utf-8")


def _build_xml(picture: FoundPicture) -> Element:
    root = Element("annotation")
    # XML has no characters for control codes, nor for bytes of a name that are no text
    _add(root, "filename", make_line(picture.name))
    size = SubElement(root, "size")
    for name, value in zip(("width", "height", "depth"), (*picture.size_px, 3), strict=True):
        _add(size, name, str(value))
    for box in picture.boxes:
        thing = SubElement(root, "object")
        _add(thing, "name", box["label"])
        _add(thing, "score", f"{box['score']:.9g}")
        _add(thing, "difficult", "0")
        outline = SubElement(thing, "bndbox")
        for name, side in _SIDES.items():
            _add(outline, name, f"{box[side]:.9g}")
    indent(root)
    return root


def _add(parent: Element, name: str, text: str) -> None:
    SubElement(parent, name).text = text
