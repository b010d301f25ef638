"""The server's icon as PNG, for hosts that take no SVG."""

import re
from io import BytesIO
from xml.etree import ElementTree

from PIL import Image, ImageDraw

from databricks_responses_mcp.hosts.server_info import SERVER

SIZE = 512
_FINER = 4
_COMMANDS = re.compile(r"([A-Za-z])([^A-Za-z]*)")


def icon_png(svg: str = SERVER.icon, size: int = SIZE) -> bytes:
    """The icon, drawn at ``size`` by ``size`` pixels.

    Raises:
        ValueError: for a shape or a path command that the icon did not have so far.
    """
    root = ElementTree.fromstring(svg)  # noqa: S314 - our own text
    width = float(root.attrib["viewBox"].split()[2])
    scale = size * _FINER / width
    picture = Image.new("RGBA", (size * _FINER, size * _FINER))
    draw = ImageDraw.Draw(picture)
    for shape in root:
        at = shape.attrib
        match shape.tag.rpartition("}")[2]:
            case "rect":
                box = (0.0, 0.0, float(at["width"]) * scale - 1, float(at["height"]) * scale - 1)
                draw.rounded_rectangle(box, float(at["rx"]) * scale, at["fill"])
            case "path":
                for line in _lines(at["d"]):
                    points = [(x * scale, y * scale) for x, y in line]
                    if at["fill"] != "none":
                        draw.polygon(points, at["fill"])
                    if "stroke" in at:
                        draw.line(points, at["stroke"], round(float(at["stroke-width"]) * scale), joint="curve")
            case other:
                raise ValueError(f"the icon has a <{other}>")
    file = BytesIO()
    picture.reduce(_FINER).save(file, "PNG", optimize=True)
    return file.getvalue()


def _lines(path: str) -> list[list[tuple[float, float]]]:
    """The polylines of a path that is made of ``M``, ``l`` and ``z``."""
    lines: list[list[tuple[float, float]]] = []
    for command, text in _COMMANDS.findall(path):
        numbers = [float(number) for number in re.findall(r"-?[\d.]+", text)]
        pairs = list(zip(numbers[::2], numbers[1::2], strict=True))
        if command == "M":
            lines.append(pairs)
        elif command == "l":
            for dx, dy in pairs:
                x, y = lines[-1][-1]
                lines[-1].append((x + dx, y + dy))
        elif command != "z":
            raise ValueError(f"the icon's path has the command {command}")
    return lines
