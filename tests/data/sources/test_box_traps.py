"""What annotation tools do wrong: each is planted, and what is said of it is what was planted."""

from __future__ import annotations

import io
import json

import pytest
from box_makers import (
    BOX_FIELDS,
    CLASSES,
    HEIGHT,
    WIDTH,
    build_coco,
    build_label_studio,
    build_xml,
    draw_pictures,
    read_boxes,
    save_pictures,
    write_coco,
    write_csv,
    write_label_studio,
    write_retinanet,
    write_voc,
    write_voc_from_1,
    write_yolo,
)
from PIL import Image

from kerasft.data.config import DataConfig
from kerasft.data.kinds.fields import Field
from kerasft.data.prepare.dataset import prepare_dataset
from kerasft.data.sources import read_rows, resolve_source
from kerasft.errors import DataError


@pytest.fixture(scope="module")
def pictures():
    return draw_pictures(6)


# COCO


@pytest.fixture
def change_coco(tmp_path, pictures):
    """Writes COCO's JSON with a change, and reads it."""

    def run(change):
        source = write_coco(tmp_path, pictures)
        path = tmp_path / source["path"]
        content = json.loads(path.read_text())
        changed = change(content)
        path.write_text(json.dumps(content if changed is None else changed))
        return read_boxes(tmp_path, source)

    return run


def test_coco_crowds_areas_and_sizes_are_kept(change_coco, pictures):
    def change(content):
        content["annotations"][0] |= {"iscrowd": 1, "area": 12.5, "segmentation": {"counts": [1, 2]}}

    boxes = change_coco(change).pictures["scene 00.png"]
    assert boxes.size_px == (WIDTH, HEIGHT)
    assert (boxes.boxes[0]["crowd"], boxes.boxes[0]["area"]) == (1, 12.5)
    assert [box["crowd"] for box in boxes.boxes[1:]] == [0] * (len(pictures[0].boxes) - 1)


def test_coco_pictures_without_annotations_are_background(change_coco):
    read = change_coco(lambda content: None)
    assert not read.pictures["scene 02.png"].boxes
    assert any("pictures without boxes: 1 of 6 (" in each and "scene 02.png" in each for each in read.remarks)


def test_coco_annotations_of_no_picture_are_told(change_coco):
    read = change_coco(lambda content: content["annotations"][0].update(image_id=7))
    assert any(
        "annotations of pictures that it does not list, not read: 1 of " in warning
        and "(image_id 7)" in warning
        for warning in read.warnings
    )


def test_coco_pictures_that_share_an_id_are_refused(change_coco):
    with pytest.raises(DataError, match=r"Two pictures have the id 100: 'scene 00\.png' and 'scene 01\.png'"):
        change_coco(lambda content: content["images"][1].update(id=100))


def test_coco_annotations_that_share_an_id_are_told(change_coco):
    read = change_coco(lambda content: content["annotations"][1].update(id=1))
    assert any("ids that several annotations have: 1 (1)." in warning for warning in read.warnings)


def test_coco_categories_that_share_an_id_are_refused(change_coco):
    with pytest.raises(DataError, match="Two categories have the id 90"):
        change_coco(lambda content: content["categories"][1].update(id=90))


def test_coco_annotations_of_an_unknown_category_reject_their_picture(change_coco):
    read = change_coco(lambda content: content["annotations"][0].update(category_id=5))
    (reject,) = read.rejects
    assert reject[:2] == (1, "unknown class number")
    assert reject[2].startswith("annotation 1 has the category_id 5; there are 90")


def test_coco_annotations_without_a_box_are_left_out_by_name(change_coco):
    read = change_coco(lambda content: content["annotations"][0].update(bbox=[]))
    (left_out,) = read.pictures["scene 00.png"].left_out
    assert left_out.startswith("annotation 1 (")
    assert left_out.endswith("has no bbox")


def test_coco_boxes_written_as_corners_are_told(change_coco):
    def change(content):
        for each in content["annotations"]:
            left, top, width, height = each["bbox"]
            each["bbox"] = [left, top, left + width, top + height]

    assert any(
        "all of them would fit if bbox were left, top, right, bottom" in warning
        for warning in change_coco(change).warnings
    )


def test_a_class_without_boxes_is_told_as_roboflow_writes_one(change_coco):
    def change(content):
        used = {each["category_id"] for each in content["annotations"]}
        content["categories"] = [each for each in content["categories"] if each["id"] in used]
        content["categories"].append({"id": 0, "name": "cells", "supercategory": "none"})

    read = change_coco(change)
    assert any("no box is of the class" in remark and "'cells' (0)" in remark for remark in read.remarks)


def test_a_class_called_background_is_warned_of(change_coco):
    def change(content):
        content["categories"].append({"id": 0, "name": "Background"})
        content["annotations"][0]["category_id"] = 0

    assert any(
        "boxes of the class 'Background': 1. They are learned as objects" in warning
        for warning in change_coco(change).warnings
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([{"image_id": 1, "bbox": [1, 2, 3, 4]}], "it is a list, as COCO's results are"),
        ({"images": []}, "it has no list of objects 'annotations'; there is images"),
        ({"images": [{"id": 1}], "annotations": [], "categories": []}, "the id 1 has no file_name"),
        ("text", "it is not an object"),
    ],
)
def test_json_that_is_no_coco_is_refused_in_words(change_coco, content, message):
    with pytest.raises(DataError, match=message):
        change_coco(lambda _: content)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[1, 2", "Expecting"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a": "\xff"}', "it is not UTF-8"),
    ],
)
def test_broken_json_is_refused_in_words(tmp_path, content, message):
    (tmp_path / "a.json").write_bytes(content)
    for format in ("coco", "label_studio"):
        with pytest.raises(DataError, match=message):
            read_boxes(tmp_path, {"format": format, "path": "a.json"})


# VOC


def test_voc_says_how_its_numbers_are_read(tmp_path, pictures):
    read = read_boxes(tmp_path, write_voc(tmp_path, pictures))
    assert any("read as the sides of boxes (XML files: 6)" in remark for remark in read.remarks)


def test_voc_with_pixels_from_1_and_a_box_at_pixel_0_is_warned_of(tmp_path, pictures):
    source = write_voc_from_1(tmp_path, [pictures[0]])
    path = tmp_path / "Annotations" / "scene 00.xml"
    text = path.read_text()
    path.write_text(text.replace(text[text.index("<xmin>") : text.index("</xmin>")], "<xmin>0", 1))
    read = read_boxes(tmp_path, source)
    assert any("as pixels counted from 1 (XML files of VOC: 1)" in remark for remark in read.remarks)
    assert any("pixels are counted from 1 here: 1." in warning for warning in read.warnings)


def test_voc_difficult_objects_are_crowds(tmp_path, pictures):
    source = write_voc(tmp_path, [pictures[0]])
    path = tmp_path / "Annotations" / "scene 00.xml"
    path.write_text(path.read_text().replace("<difficult>0", "<difficult>1", 1))
    boxes = read_boxes(tmp_path, source).pictures["scene 00.png"].boxes
    assert [box["crowd"] for box in boxes] == [True] + [False] * (len(boxes) - 1)


@pytest.mark.parametrize(
    ("content", "detail"),
    [
        ('<!DOCTYPE a [<!ENTITY b "c">]><annotation>&b;</annotation>', "a document type"),
        ('<!DOCTYPE a SYSTEM "file:///etc/passwd"><annotation/>', "a document type"),
        ("<annotation>&b;</annotation>", "undefined entity"),
        ("<annotation><object>", "no element found"),
        ("<a>" * 100, "nested more than 64 deep"),
        ("", "no element found"),
    ],
)
def test_voc_hostile_or_broken_xml_rejects_its_picture_alone(tmp_path, pictures, content, detail):
    source = write_voc(tmp_path, pictures)
    for encoding in ("utf-8", "utf-16"):
        (tmp_path / "Annotations" / "scene 01.xml").write_bytes(content.encode(encoding))
        read = read_boxes(tmp_path, source)
        (reject,) = read.rejects
        assert reject[:2] == (2, "broken XML")
        assert detail in reject[2] or not content
        assert len(read.pictures) == 5


def test_voc_objects_without_a_box_are_left_out_by_name(tmp_path, pictures):
    source = write_voc(tmp_path, [pictures[0]])
    extra = "<object><name>mug</name><polygon><x1>1</x1></polygon></object>"
    (tmp_path / "Annotations" / "scene 00.xml").write_text(build_xml(pictures[0], extra=extra))
    boxes = read_boxes(tmp_path, source).pictures["scene 00.png"]
    assert boxes.left_out == (f"object {len(pictures[0].boxes) + 1} 'mug' has no bndbox",)


def test_voc_a_listed_picture_without_xml_is_rejected(tmp_path, pictures):
    source = write_voc(tmp_path, pictures)
    (tmp_path / "Annotations" / "scene 03.xml").unlink()
    assert read_boxes(tmp_path, source).rejects == [(4, "missing annotation", "there is no scene 03.xml")]


def test_voc_pictures_without_xml_are_told_where_there_is_no_list(tmp_path, pictures):
    save_pictures(tmp_path, pictures)
    for picture in pictures[:4]:
        (tmp_path / picture.name).with_suffix(".xml").write_text(build_xml(picture))
    read = read_boxes(tmp_path, {"format": "voc", "path": "."})
    assert len(read.pictures) == 4
    assert any(
        "pictures without an XML file, not read: 2 (scene 04.png, scene 05.png)." in warning
        for warning in read.warnings
    )


def test_voc_files_that_name_another_picture_are_told(tmp_path, pictures):
    source = write_voc(tmp_path, pictures)
    path = tmp_path / "Annotations" / "scene 00.xml"
    path.write_text(path.read_text().replace("scene 00.png", "scene 01.png"))
    read = read_boxes(tmp_path, source)
    assert len(read.pictures) == 6
    assert any("scene 00.xml (scene 01.png)" in remark for remark in read.remarks)


def test_voc_pictures_of_one_name_in_several_folders_keep_their_own_boxes(tmp_path, pictures):
    for folder, picture in zip("ab", pictures, strict=False):
        save_pictures(tmp_path / "JPEGImages" / folder, [picture._replace(name="same.png")])
        (tmp_path / "Annotations" / folder).mkdir(parents=True)
        (tmp_path / "Annotations" / folder / "same.xml").write_text(build_xml(picture))
    rows = read_boxes(tmp_path, {"format": "voc", "path": "."}).rows
    assert [image.parent.name for image, _ in rows] == ["a", "b"]
    assert [len(boxes.boxes) for _, boxes in rows] == [len(picture.boxes) for picture in pictures[:2]]


def test_voc_a_listed_name_that_ends_in_a_number_is_not_shortened(tmp_path, pictures):
    save_pictures(tmp_path / "JPEGImages", [pictures[0]._replace(name="scene 1.png")])
    (tmp_path / "Annotations").mkdir()
    (tmp_path / "Annotations" / "scene 1.xml").write_text(build_xml(pictures[0]))
    (tmp_path / "ImageSets" / "Main").mkdir(parents=True)
    for line in ("scene 1", "scene 1  -1"):
        (tmp_path / "ImageSets" / "Main" / "train.txt").write_text(f"{line}\n")
        read = read_boxes(tmp_path, {"format": "voc", "path": ".", "split": "train"})
        assert list(read.pictures) == ["scene 1.png"]


# YOLO


def test_yolo_pictures_without_a_label_file_are_told_and_are_background(tmp_path, pictures):
    source = write_yolo(tmp_path, pictures)
    (tmp_path / "labels" / "train" / "scene 04.txt").unlink()
    (tmp_path / "labels" / "train" / "stray.txt").write_text("")
    read = read_boxes(tmp_path, source)
    assert not read.pictures["scene 04.png"].boxes
    assert any(
        "pictures without a label file, read as background: 1 (images/train/scene 04.png)." in warning
        for warning in read.warnings
    )
    assert any("label files without a picture: 1 (labels/train/stray.txt)." in each for each in read.warnings)


def test_yolo_without_any_label_file_is_refused_with_where_one_was_expected(tmp_path, pictures):
    source = write_yolo(tmp_path, pictures)
    (tmp_path / "labels").rename(tmp_path / "label")
    with pytest.raises(DataError, match="None of 6 pictures has a label file") as error:
        read_boxes(tmp_path, source)
    assert "labels/train/scene 00.txt" in error.value.fix


def test_yolo_class_lists_in_another_order_are_told(tmp_path, pictures):
    source = write_yolo(tmp_path, pictures)
    (tmp_path / "labels" / "classes.txt").write_text("\n".join(reversed(CLASSES)))
    read = read_boxes(tmp_path, source)
    assert any("name the classes in another order" in warning for warning in read.warnings)
    (label, _), *_ = pictures[0].boxes
    assert read.pictures["scene 00.png"].boxes[0]["label"] == label


def test_yolo_class_numbers_from_1_are_told(tmp_path, pictures):
    source = write_yolo(tmp_path, pictures)
    path = tmp_path / "data.yaml"
    path.write_text(path.read_text().replace("nc: 16", "nc: 15"))
    for picture in pictures:
        (tmp_path / "labels" / "train" / picture.name).with_suffix(".txt").write_text("16 0.5 0.5 0.2 0.2\n")
    read = read_boxes(tmp_path, source)
    assert {reason for _, reason, _ in read.rejects} == {"unknown class number"}
    assert read.rejects[0][2] == "scene 00.txt:1: 16; there are 16 classes, from 0"
    assert any("Class numbers that start at 1 shift every class" in warning for warning in read.warnings)
    assert any("nc is 15, and names holds 16 names" in warning for warning in read.warnings)


@pytest.mark.parametrize(
    ("line", "reason", "detail"),
    [
        ("0 320 240 100 50", "sides are not shares of the picture's size", "320; they look like pixels"),
        ("0 0.5 0.5 0.2", "wrong column count", "found 4 numbers"),
        ("mug 0.5 0.5 0.2 0.2", "not a number", "found 'mug'"),
        ("0.5 0.5 0.5 0.2 0.2", "unknown class number", "0.5; there are 16 classes"),
    ],
)
def test_yolo_lines_that_are_no_boxes_reject_their_picture(tmp_path, pictures, line, reason, detail):
    source = write_yolo(tmp_path, pictures)
    (tmp_path / "labels" / "train" / "scene 01.txt").write_text(line + "\n")
    (reject,) = read_boxes(tmp_path, source).rejects
    assert reject[:2] == (2, reason)
    assert reject[2].startswith("scene 01.txt:1: ")
    assert detail in reject[2]


def test_yolo_outlines_become_the_box_around_them(tmp_path, pictures):
    source = write_yolo(tmp_path, pictures)
    (tmp_path / "labels" / "train" / "scene 01.txt").write_text("3 0.1 0.2 0.4 0.25 0.3 0.8\n")
    read = read_boxes(tmp_path, source)
    assert read.pictures["scene 01.png"].boxes == [
        {"left": 0.1, "top": 0.2, "right": 0.4, "bottom": 0.8, "label": CLASSES[3]}
    ]
    assert any("outlines, of which the box around them is taken: 1." in remark for remark in read.remarks)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("names: {1: a, 2: b}\ntrain: images/train", "The numbers in names are 1, 2"),
        ("names: [a, a]\ntrain: images/train", "Two classes have one name"),
        ("names: a\ntrain: images/train", "neither a list nor an object, but text"),
        ("names: [a]\ntrain: nowhere", "train names 'nowhere', which is not there"),
        ("names: [a\n", "not YAML that can be read"),
        ("nc: !!bool many\n", "not YAML that can be read"),
        ("nc: !!int ''\n", "not YAML that can be read"),
        ("names: {²: a}\ntrain: images/train", "The numbers in names are ²"),
        (f"names: [a]\ntrain: {'a' * 300}", "which is not there"),
        (f"names: [a]\npath: {'a' * 300}\ntrain: b", "train names 'b', which is not there"),
        ("train: images/train", "No file says the names of the classes"),
    ],
)
def test_yolo_a_faulty_data_yaml_is_refused_in_words(tmp_path, pictures, content, message):
    source = write_yolo(tmp_path, pictures)
    (tmp_path / "data.yaml").write_text(content)
    with pytest.raises(DataError, match=message):
        read_boxes(tmp_path, source)


def test_yolo_a_bomb_of_aliases_is_refused_at_once(tmp_path, pictures):
    source = write_yolo(tmp_path, pictures)
    lines = ["a0: &a0 [x, x]"] + [
        f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]" for level in range(1, 30)
    ]
    (tmp_path / "data.yaml").write_text("\n".join([*lines, "names: *a29", "train: *a29", ""]))
    with pytest.raises(DataError, match="no name"):
        read_boxes(tmp_path, source)


def test_yolo_roboflows_paths_that_lead_above_are_found(tmp_path, pictures):
    source = write_yolo(tmp_path, pictures)
    path = tmp_path / "data.yaml"
    path.write_text(path.read_text().replace("train: images", "train: ../images").replace("path: .\n", ""))
    assert len(read_boxes(tmp_path, source).pictures) == 6


# Label Studio


@pytest.fixture
def change_label_studio(tmp_path, pictures):
    def run(change):
        source = write_label_studio(tmp_path, pictures)
        tasks = build_label_studio(pictures)
        change(tasks)
        (tmp_path / source["path"]).write_text(json.dumps(tasks))
        return read_boxes(tmp_path, source)

    return run


def test_label_studio_tasks_without_an_annotation_are_told_and_not_read(change_label_studio):
    def change(tasks):
        tasks[0]["predictions"] = tasks[0].pop("annotations")
        tasks[1]["annotations"][0]["was_cancelled"] = True

    read = change_label_studio(change)
    assert sorted(read.pictures) == [f"scene {number:02}.png" for number in range(2, 6)]
    assert any(
        "tasks without an annotation (a prediction is none), not read: 2 (task 1, task 2)." in warning
        for warning in read.warnings
    )


def test_label_studio_rotated_rectangles_become_the_box_around_them(change_label_studio):
    def change(tasks):
        value = {"x": 50, "y": 25, "width": 25, "height": 25, "rotation": 90, "rectanglelabels": ["mug"]}
        tasks[0]["annotations"][0]["result"][:] = [
            {**tasks[1]["annotations"][0]["result"][0], "value": value}
        ]

    read = change_label_studio(change)
    (box,) = read.pictures["scene 00.png"].boxes
    # 32 × 24 pixels at (64, 24), turned clockwise about that corner
    assert [
        box[side] * size for side, size in zip(("left", "top", "right", "bottom"), (128, 96) * 2, strict=True)
    ] == (pytest.approx([40, 24, 64, 56]))
    assert any(
        "rotated rectangles, of which the box around them is taken: 1." in remark for remark in read.remarks
    )


def test_label_studio_pictures_turned_in_it_are_rejected(change_label_studio):
    read = change_label_studio(
        lambda tasks: tasks[0]["annotations"][0]["result"][0].update(image_rotation=90)
    )
    assert read.rejects[0][:2] == (1, "picture turned in Label Studio")


def test_label_studio_other_regions_and_several_annotations_are_told(change_label_studio):
    def change(tasks):
        tasks[0]["annotations"][0]["result"].append({"type": "polygonlabels", "value": {"points": []}})
        right = {"result": [], "ground_truth": True}
        tasks[1]["annotations"].append(right)

    read = change_label_studio(change)
    assert not read.pictures["scene 01.png"].boxes
    assert any("no rectangles, not read: 1 polygonlabels" in remark for remark in read.remarks)
    assert any("tasks with several annotations: 1." in remark for remark in read.remarks)


def test_label_studio_json_min_gives_the_same_boxes(tmp_path, pictures):
    source = write_label_studio(tmp_path, pictures)
    whole = read_boxes(tmp_path, source)
    tasks = [
        {
            "id": task["id"],
            "image": task["data"]["image"],
            "label": [
                {**region["value"], "original_width": WIDTH, "original_height": HEIGHT}
                for region in task["annotations"][0]["result"]
            ],
        }
        for task in build_label_studio(pictures)
    ]
    (tmp_path / "export.json").write_text(json.dumps(tasks))
    least = read_boxes(tmp_path, source)
    with_boxes = {name: boxes for name, boxes in whole.pictures.items() if boxes.boxes}
    assert least.pictures == with_boxes


@pytest.mark.parametrize(
    "address",
    [
        "/data/upload/3/1a2b3c4d-cat.png",
        "/data/local-files/?d=pets/cat.png",
        "s3://bucket/some/where/cat.png",
        "https://host/cat.png?token=1",
        "C:\\pictures\\cat.png",
        "cat.png",
    ],
)
def test_label_studio_finds_a_picture_however_it_is_called(tmp_path, pictures, address):
    source = write_label_studio(tmp_path, [pictures[0]._replace(name="cat.png")])
    tasks = json.loads((tmp_path / "export.json").read_text())
    tasks[0]["data"] = {"image": address}
    (tmp_path / "export.json").write_text(json.dumps(tasks))
    (file,) = resolve_source(DataConfig.model_validate({"train": source}).train, tmp_path)
    (batch,) = read_rows(file, DataConfig.model_validate({"train": source}).train, BOX_FIELDS[:2])
    assert batch.values[0][0] == tmp_path / "pictures" / "cat.png"


# CSV


def test_csv_rows_that_are_no_boxes_reject_their_picture(tmp_path, pictures):
    source = write_csv(tmp_path, pictures)
    path = tmp_path / "boxes.csv"
    path.write_text(path.read_text() + "scene 00.png,mug,1,2,wide,4\nscene 01.png,mug,1\n")
    read = read_boxes(tmp_path, source)
    count = len(path.read_text().splitlines())
    assert sorted(read.rejects) == [
        (2, "not a number", f"line {count - 1}: found 'wide'"),
        (count, "wrong column count", "expected 6, found 3"),
    ]


def test_csv_without_a_column_says_what_it_may_be_called(tmp_path, pictures):
    source = write_csv(tmp_path, pictures)
    path = tmp_path / "boxes.csv"
    path.write_text(path.read_text().replace("class,", "what,"))
    with pytest.raises(DataError, match="There is no column for label; there are filename, what, xmin"):
        read_boxes(tmp_path, source)


def test_csv_of_shares_is_read_as_such_and_told(tmp_path, pictures):
    source = write_retinanet(tmp_path, [pictures[0]])
    (tmp_path / "boxes.csv").write_text("png/scene 00.png,0.25,0.5,0.75,1,mug\n")
    read = read_boxes(tmp_path, source)
    assert read.pictures["scene 00.png"].in_shares
    assert any("are read as shares of the picture's size" in remark for remark in read.remarks)


# All


def test_a_task_without_boxes_is_told_its_task(tmp_path, pictures):
    source = write_coco(tmp_path, pictures)
    settled = DataConfig.model_validate({"train": source}).train
    (file,) = resolve_source(settled, tmp_path)
    fields = (Field("image", "image"), Field("label", "label", "target"))
    with pytest.raises(DataError, match="holds pictures with boxes, and the task needs label"):
        list(read_rows(file, settled, fields))


def test_a_split_that_is_not_there_names_those_that_are(tmp_path, pictures):
    source = write_voc(tmp_path, pictures)
    with pytest.raises(DataError, match="The folder has no split 'test'; there are train"):
        read_boxes(tmp_path, {**source, "split": "test"})


def write_turned(folder, orientation: int, size_px: tuple[int, int]) -> dict:
    """A picture of 32 × 16 stored pixels with an EXIF orientation, and a box at (2, 1, 10, 5) of these."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    Image.new("RGB", (32, 16), "gray").save(buffer, "JPEG", exif=exif)
    (folder / "a.jpg").write_bytes(buffer.getvalue())
    content = build_coco([])
    content["images"] = [{"id": 1, "file_name": "a.jpg", "width": size_px[0], "height": size_px[1]}]
    category = content["categories"][0]["id"]
    content["annotations"] = [{"id": 1, "image_id": 1, "category_id": category, "bbox": [2, 1, 8, 4]}]
    (folder / "a.json").write_text(json.dumps(content))
    return {"format": "coco", "path": "a.json"}


@pytest.mark.parametrize(
    ("orientation", "size_px", "sides", "note"),
    [
        (1, (32, 16), (2, 1, 10, 5), None),
        (6, (32, 16), (11, 2, 15, 10), "boxes turned as EXIF turns the picture"),
        (8, (32, 16), (1, 22, 5, 30), "boxes turned as EXIF turns the picture"),
        (6, (16, 32), (2, 1, 10, 5), None),
        (3, (32, 16), (2, 1, 10, 5), "turned by EXIF; boxes taken as drawn on the turned picture"),
        (1, (16, 32), (2, 1, 10, 5), "size of the picture written wrongly in its annotation"),
    ],
)
def test_boxes_of_a_picture_that_exif_turns_follow_where_its_size_shows_it(
    tmp_path, progress, orientation, size_px, sides, note
):
    source = write_turned(tmp_path, orientation, size_px)
    config = DataConfig.model_validate({"train": source, "validation_share": 0, "test_share": 0})
    dataset = prepare_dataset(config, BOX_FIELDS, tmp_path / "data", base=tmp_path, seed=0, progress=progress)
    (example,) = dataset.split("train").take([0])
    assert example["boxes"][0][:4] == sides
    assert dataset.manifest["splits"]["train"]["notes"] == ({note: 1} if note else {})


def test_boxes_of_a_picture_of_another_size_reject_it(tmp_path, progress):
    source = write_turned(tmp_path, 1, (640, 320))
    config = DataConfig.model_validate({"train": source, "max_rejected": 0.5})
    with pytest.raises(DataError, match="picture of another size"):
        prepare_dataset(config, BOX_FIELDS, tmp_path / "data", base=tmp_path, seed=0, progress=progress)
