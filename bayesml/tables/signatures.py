"""Tell what a file really holds from its first bytes, whatever its name says."""

SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "an Excel workbook or a zip archive"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook"),
    (b"\x1f\x8b", "a gzip-compressed file"),
    (b"BZh", "a bzip2-compressed file"),
    (b"\xfd7zXZ", "an xz-compressed file"),
    (b"PAR1", "a Parquet file"),
    (b"ARROW1", "an Arrow (Feather) file"),
    (b"$FL2", "an SPSS file"),
    (b"$FL3", "an SPSS file"),
    (b"<stata_dta>", "a Stata file"),
    (b"\x89HDF", "an HDF5 file"),
    (b"SQLite format", "an SQLite database"),
    (b"RDX", "an R workspace"),
)
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
# Stata 8 to 12 wrote no name: release number, byte order, file type 1, then an unused zero byte.
OLD_STATA_RELEASES = (104, 105, 108, 110, 111, 112, 113, 114, 115)


def content_of(head: bytes) -> str | None:
    """Return in words what a file that begins with `head` holds, or None where it may be text."""
    for signature, content in SIGNATURES:
        if head.startswith(signature):
            return content
    if (
        head[:1]
        and head[0] in OLD_STATA_RELEASES
        and head[1:4] in (b"\x01\x01\x00", b"\x02\x01\x00")
    ):
        return "a Stata file"
    if b"\x00" in head and not head.startswith(UTF16_MARKS):
        return "a binary file"
    return None
