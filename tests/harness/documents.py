"""Small documents, made here, of the kinds that callers name."""

import io
import zipfile

_OFFICE = {"docx": "word/document.xml", "xlsx": "xl/workbook.xml", "pptx": "ppt/presentation.xml"}


def pdf(*pages: str, meaning: str = "") -> bytes:
    """A PDF whose pages have these texts (ASCII); it is all ASCII and has no NUL byte.

    Args:
        meaning: what characters mean, as the rows of a ``bfchar`` map: ``<41> <0042>`` makes A a B.
    """
    objects = ["<< /Type /Catalog /Pages 2 0 R >>", ""]
    kids = []
    for text in pages:
        stream = f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET"
        number = len(objects) + 1
        kids.append(f"{number} 0 R")
        map_of_font = f" /ToUnicode {3 + 2 * len(pages)} 0 R" if meaning else ""
        font = f"<< /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica{map_of_font} >> >>"
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {number + 1} 0 R "
            f"/Resources << /Font {font} >> >>"
        )
        objects.append(f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream")
    objects[1] = f"<< /Type /Pages /Kids [{' '.join(kids)}] /Count {len(pages)} >>"
    if meaning:
        rows = f"begincmap\n{meaning.count(chr(10)) + 1} beginbfchar\n{meaning}\nendbfchar\nendcmap"
        objects.append(f"<< /Length {len(rows)} >>\nstream\n{rows}\nendstream")
    out = b"%PDF-1.4\n"
    places = []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += f"{number} 0 obj\n{body}\nendobj\n".encode()
    table = len(out)
    out += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode()
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    return out + f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{table}\n%%EOF\n".encode()


def office(extension: str) -> bytes:
    """A file with the structure of a ``docx``, ``xlsx`` or ``pptx``."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr(_OFFICE[extension], "<x/>")
    return out.getvalue()


def archive(**entries: bytes) -> bytes:
    """A ZIP archive with these entries, packed as they are."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as packed:
        for name, data in entries.items():
            packed.writestr(name, data)
    return out.getvalue()


def wav(seconds: float = 0.1) -> bytes:
    """A silent recording."""
    import wave

    out = io.BytesIO()
    with wave.open(out, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(b"\0\0" * int(8000 * seconds))
    return out.getvalue()
