"""Which properties of EXIF, IPTC and XMP are coordinates, names of places, rights or thumbnails."""

from __future__ import annotations

import re

from guetzpy.jpeg.metadata.xmp import Packet

__all__ = [
    "EXIF_TAGS",
    "IPTC_DATASETS",
    "coordinates_in_bytes",
    "is_coordinate",
    "is_copyright",
    "is_gain_map",
    "is_motion_photo",
    "is_orientation",
    "is_place",
    "is_thumbnail",
    "tells_coordinates",
    "turns",
    "xmp_test",
]

_CONTAINER = "http://ns.google.com/photos/1.0/container/"
_CRS = "http://ns.adobe.com/camera-raw-settings/1.0/"
_DWC = "http://rs.tdwg.org/dwc/"
_EXIF = ("http://ns.adobe.com/exif/1.0/", "http://cipa.jp/exif/1.0/", "http://ns.adobe.com/tiff/1.0/")
_GCAMERA = "http://ns.google.com/photos/1.0/camera/"
_GPANO = "http://ns.google.com/photos/1.0/panorama/"
_HDRGM = "http://ns.adobe.com/hdr-gain-map/1.0/"
_IPTC_CORE = "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/"
_PHOTOSHOP = "http://ns.adobe.com/photoshop/1.0/"
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_RIGHTS = "http://ns.adobe.com/xap/1.0/rights/"
_XAP = "http://ns.adobe.com/xap/1.0/"

#: EXIF tags by kind, in any directory. "gps" are GeoTIFF's tie points, transformation and keys (GeoTIFF 1.1,
#: 7.1). "place" is GPSAreaInformation. "copyright" are Artist, Copyright, XPAuthor, and Photographer of
#: Exif 3.0.
EXIF_TAGS: dict[str, frozenset[int]] = {
    "gps": frozenset({0x8480, 0x8482, 0x85D8, 0x87AF, 0x87B0, 0x87B1}),
    "place": frozenset({0x001C}),
    "copyright": frozenset({0x013B, 0x8298, 0x9C9D, 0xA437}),
}

#: Datasets of record 2 of IPTC IIM 4.2 by kind. "place": content location (26, 27), city, sub-location,
#: province, country code and name. "copyright": by-line and its title, credit, source, notice, contact.
IPTC_DATASETS: dict[str, frozenset[int]] = {
    "place": frozenset({26, 27, 90, 92, 95, 100, 101}),
    "copyright": frozenset({80, 85, 110, 115, 116, 118}),
}

# The words of a name in camel case.
_WORDS = re.compile("[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_COORDINATE_WORDS = frozenset(
    "gps latitude lat longitude longtitude lon lng altitude elevation coordinate coordinates coord coords "
    "waypoint geotag geohash "
    "georeference georeferenced geodetic footprint rtk utm mgrs wkt geo wgs ned enu northing "
    "northings easting eastings lrf".split()
)  # "longtitude" is DJI's spelling, in GpsLongtitude
#: Words that are searched within names that are written in one case.
_COORDINATE_PARTS = re.compile(
    "latitude|longt?itude|geolocation|geopoint|pluscode|openlocationcode|what3words|w3w|homepoint|gnss|ecef"
)
_GEOGRAPHIC_SPACES = ("wgs84_pos", "georss.org", "opengis.net/gml", "opengis.net/kml")
#: Names in one case that end in a word of coordinates. They are listed, because other words have the same
#: endings: flat, salon, balon, oblong.
_GLUED = re.compile(
    "(?:camera|cam|centre|center|drone|end|gimbal|home|image|img|loc|location|photo|pic|pos|position|shot|"
    "start|subject|takeoff|target|uav)_?(?:lat|lon|long|lng|alt)"
)
#: Parts of namespaces whose x and y are positions in the picture.
_OWN_AXES = re.compile(
    r"(?:adobe|microsoft|google|apple|acdsee)\.com|iptc\.org|cipa\.jp|w3\.org|purl\.org|metadataworkinggroup"
)
_DRONES = re.compile("drone|dji|parrot|autel|skydio", re.IGNORECASE)
_PLACE_NAMES = frozenset(
    "city sublocation location provincestate province country countryname countrycode worldregion "
    "locationname locationid locationshown locationcreated shotlocation gpsareainformation geolocationname "
    "placename town village municipality county district neighborhood neighbourhood postalcode".split()
)
# Terms of Darwin Core's class Location that name places.
_DWC_PLACES = frozenset(
    "continent country countryCode county higherGeography higherGeographyID island islandGroup locality "
    "locationID locationRemarks municipality stateProvince verbatimLocality waterBody".split()
)
_RIGHTS_SPACES = (_RIGHTS, "http://creativecommons.org/ns#", "http://ns.useplus.org/ldf/xmp/1.0/")
_RIGHTS_NAMES = {
    "http://purl.org/dc/elements/1.1/": {"creator", "rights", "publisher"},
    "http://purl.org/dc/terms/": {"creator", "rights", "rightsHolder", "license", "accessRights"},
    _PHOTOSHOP: {"AuthorsPosition", "Credit", "Source"},
    _IPTC_CORE: {"CreatorContactInfo", "RightsUsageTerms"},
    "http://iptc.org/std/Iptc4xmpExt/2008-02-29/": {"Creator", "EmbdEncRightsExpr", "LinkedEncRightsExpr"},
}
#: Names that count as rights in any namespace: PDF's and ACDSee's author, TIFF's artist, PRISM's creditLine,
#: AOCopyrightNotice of IPTC.
_RIGHTS_WORDS = re.compile(
    "author|artist|creditline|photographer|.*copyright.*|aocreator|licen[sc]or(?:name|url)?"
)

# Coordinates in running text: words with a number, machine tags and geo URIs, points of DCMI, degrees and
# minutes, pairs of decimal degrees with four digits (11 m) and more or with hemispheres (with five digits if
# only a space is between them, and no third number), x and y, points of WKT (OGC 06-103r4), ISO 6709,
# geohashes, plus codes (Open Location Code), sentences of NMEA 0183.
_TEXT = re.compile(
    r"""geo:\s*(?:lat|lon|long)\b | geo:-?\d+\.\d+,
    | (?:\b|gps)(?:lat|latitude|lon|lng|longitude)\b["'\s:=]{1,4}[-+]?\d
    | (?:latitude|longt?itude)["'\s:=]{1,4}[-+]?\d | gps\w*\s(?:to|is|was)\s+[-+]?\d
    | \b(?:north|south|east|west)(?:limit|ing)?\s*=\s*[-+]?\d
    | \b[NS]\s?\d{1,2}\.\d{3,}°?[\s,;/]{1,3}[EWO]\s?\d{1,3}\.\d{3,}
    | \b\d{1,2}\.\d{3,}°?\s?[NS][\s,;/]{1,3}\d{1,3}\.\d{3,}°?\s?[EWO]\b
    | \d{1,3}\s*(?:[°º˚]|deg\.?)\s*\d{1,2}(?:\.\d+)?\s*(?:['′’]|min\.?)
      \s*[\d.]*\s*(?:["″”]|sec\.?)?\s*[NSEW]\b
    | (?<![\d.-])(?<!\d\s)-?\d{1,2}\.\d{5,}\s+-?\d{1,3}\.\d{5,}(?!\d|[\s,;]*-?\d)
    | \b[xy]["']?\s*[:=]\s*["']?-?\d{1,3}\.\d{4,}["']?
      \s*[,;]?\s*["']?[xy]["']?\s*[:=]\s*["']?-?\d{1,3}\.\d{4,}
    | \bgeohash["'\s:=]{1,4}[0-9b-hjkmnp-z]{5,12}\b | \$G[APLNB][A-Z]{3},
    | (?<![^\s"'>(,:=])[23456789CFGHJMPQRVWX]{8}\+[23456789CFGHJMPQRVWX]{2,3}(?![^\s"'<),.;])
    | (?<![\d.])-?\d{1,2}\.\d{4,}°?\s*[NS]?\s*[,;/]\s*-?\d{1,3}\.\d{4,}
    | \bPOINT\s?Z?\s?\(\s?-?\d+\.\d
    | [-+]\d{2,6}\.\d{2,}[-+]\d{3,7}\.\d{2,}(?:[-+]\d+(?:\.\d+)?)?/""",
    re.IGNORECASE | re.VERBOSE,
)
# Coordinates in bytes of unknown structure, in which shorter words would occur by chance. gps5, gps9 and gpsu
# are GoPro's.
_SIGNS = re.compile(
    rb"gps(?:lat|lon|alt|info|pos|coord|date|[59ufp_: =])|latitude|longt?itude|lrftarget|iso6709|\xa9xyz",
    re.IGNORECASE,
)


def is_coordinate(space: str, name: str) -> bool:
    """Return whether an XMP property is a coordinate of the camera or of what the picture shows."""
    if space in (_RDF, _CRS):
        return False
    if space == _GPANO:
        return name.startswith("Pose")
    if any(part in space for part in _GEOGRAPHIC_SPACES):
        return True
    words = [word.lower() for word in _WORDS.findall(name)]
    low = name.lower()
    if _COORDINATE_WORDS & set(words) or low.startswith("gps") or _COORDINATE_PARTS.search(low):
        return True
    if _GLUED.fullmatch(low) or (low in ("x", "y", "z") and not _OWN_AXES.search(space)):
        return True
    if _DRONES.search(space) and low.endswith("location"):  # Parrot's TakeOffLocation
        return True
    # Other names that begin with "alt" are not altitudes: AltTextAccessibility (IPTC), altTimecode (Adobe).
    return len(words) > 1 and words[-1] in ("alt", "hgt")


def is_place(space: str, name: str) -> bool:
    """Return whether an XMP property names a place that the picture shows or was taken at."""
    if space.startswith(_DWC):
        return name in _DWC_PLACES
    if space == _PHOTOSHOP:
        return name in ("City", "State", "Country")
    if "dc/elements" in space or "dc/terms" in space:
        return name in ("coverage", "spatial", "Location")
    return name.lower() in _PLACE_NAMES


def is_copyright(space: str, name: str) -> bool:
    """Return whether an XMP property gives a picture's creator, rights holder or terms of use."""
    named = space in _RIGHTS_SPACES or name in _RIGHTS_NAMES.get(space, ())
    return named or _RIGHTS_WORDS.fullmatch(name.lower()) is not None


def is_thumbnail(space: str, name: str) -> bool:
    """Return whether an XMP property has thumbnails of the picture."""
    return space == _XAP and name == "Thumbnails"


def is_gain_map(space: str, name: str) -> bool:
    """Return whether an XMP property lists or describes a gain map."""
    return space == _HDRGM or (space == _CONTAINER and name == "Directory")


def is_motion_photo(space: str, name: str) -> bool:
    """Return whether an XMP property describes the video of a motion photo."""
    return space == _GCAMERA and name.startswith(("MotionPhoto", "MicroVideo"))


def is_orientation(space: str, name: str) -> bool:
    """Return whether a property is the orientation of the picture."""
    return (space, name) == ("http://ns.adobe.com/tiff/1.0/", "Orientation")


def turns(packet: Packet) -> bool:
    """Return whether an XMP packet has an orientation other than 1."""
    return any(value.strip() not in ("", "1") for _, value, _ in packet.properties(is_orientation))


def xmp_test(kind: str, space: str, name: str) -> bool:
    """Return whether an XMP property belongs to a kind of metadata; False for kinds without properties.

    A comment, whose namespace and name are "", may hold names of places and rights; coordinates are found by
    its text.
    """
    if not space and not name:
        return kind in ("place", "copyright")
    match kind:
        case "gps":
            return is_coordinate(space, name)
        case "place":
            return is_place(space, name)
        case "copyright":
            return is_copyright(space, name)
        case "thumbnail":
            return is_thumbnail(space, name)
        case "gainmap":
            return is_gain_map(space, name)
        case "trailing":
            return is_motion_photo(space, name) or (space == _CONTAINER and name == "Directory")
    return False


def tells_coordinates(text: str) -> bool:
    """Return whether text contains coordinates."""
    return _TEXT.search(text) is not None


def coordinates_in_bytes(data: bytes) -> bool:
    """Return whether bytes of unknown structure contain coordinates or names of them.

    NUL bytes are removed, so that text in UTF-16 is found too, or count as spaces, which end a word.
    """
    plain = data.replace(b"\0", b"")
    if _SIGNS.search(plain) is not None or tells_coordinates(plain.decode("utf-8", "replace")):
        return True
    return len(plain) < len(data) and tells_coordinates(data.replace(b"\0", b" ").decode("utf-8", "replace"))
