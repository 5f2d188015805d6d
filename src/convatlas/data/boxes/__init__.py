"""Boxes on images: what they are, and the formats that say where they lie.

Here: a reader for each format (COCO, YOLO, Pascal VOC, Label Studio, CSV), giving `Annotations`.
Not here: reading and splitting the images (`data/images`), and average precision (`explain/boxes`).
"""
