"""Names of photos that are nobody's: of cameras, phones, messengers and scanners, dates, hashes.

    why_nobody("IMG_0001")          "IMG is what cameras and programs call photos"
    why_nobody("20240101_120000")   "it is a number or a date"
    why_nobody("Ada_Lovelace_1")    None: it may be a person's

A folder of photos named after people looks like one that comes out of a camera: a word, then a
number. So a name is a person's only where it has a word that none of these call photos by.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from typing import Final

_NOBODYS = """
img imgp imge imag cimg simg dsc dscn dscf dscs dcim dcf roll album albums pict picture pic pics
pxl mvimg mvi mg crw cr rimg hpim sany stm gopr gp gh gx dji kic apc st dcp hdr pano panorama
burst portrait night motion vid video videos mov movie avi clip live cover edited edit
bearbeitet thumb thumbnail preview original resized cropped crop export exported collage
photo photos photograph photography foto fotos fotografie fotografia bild bilder image images
imagen imagenes immagine immagini imagem imagens obraz obrazek zdjecie zdjęcie afbeelding snimek
obrázek kuva bilde billede kep kép resim fotograf fotoğraf hình ảnh gambar larawan фото
фотография изображение снимок рисунок صورة תמונה φωτογραφία εικόνα 写真 画像 图片 照片 圖片 相片
사진 이미지
screenshot screenshots screen shot screencap screenrecording screengrab capture captured
bildschirmfoto bildschirmfotos captura pantalla ecran écran schermata schermafbeelding zrzut
ekranu skärmavbild skjermbilde снимокэкрана экран скриншот スクリーンショット 截图 截屏 屏幕截图
屏幕快照 螢幕截圖 스크린샷 whatsapp wa signal telegram messenger viber wechat wx mmexport weixin
微信图片 snapchat snap instagram insta ig fb facebook fbimg tumblr twitter tiktok pinterest
received inshot picsart snapseed vsco b612 faceapp google gphoto camera cam webcam kamera camara
cámara fotocamera caméra камера カメラ 相机 카메라
scan scans scanned scanner scn escaneo numérisation numerisation gescannt film negative slide
frame frames still shot snapshot page document file datei fichier archivo untitled unnamed
unbenannt unknown noname sanstitre sintitulo copy copie kopie copia kopia duplicate download
downloads downloaded new neu temp tmp test sample output out result image1 face faces attachment
clipboard pasted paste upload uploads imageedit am pm at um à on of from jpg jpeg png heic webp
ios android iphone ipad samsung xiaomi huawei nokia kodak canon eos nikon fuji fujifilm olympus
lumix leica polaroid
"""
# Of cameras and phones, after the rules of DCF up to four letters and a number; what people and
# programs call a photo, in the languages of many; of programs, messengers and networks; of
# scanners, films and makers; placeholders.

_WORDS: Final = frozenset(_NOBODYS.split())
"""In NFC and lower case. A word alone is nobody's name; with other words it may be."""

_CAPITALS: Final = frozenset({"SAM"})
"""Of cameras, and names as well: nobody's in capitals before four digits or more."""

_FIRST = """
screenshot screenshots screenrecording bildschirmfoto schermata スクリーンショット 截图 屏幕截图
whatsapp pxl mvimg img dsc dscn dscf vid fb fbimg received signal mmexport 微信图片 snapchat
inshot picsart
"""
_LEADING: Final = frozenset(_FIRST.split())
"""Words after which, before a number, the rest of the name says nothing of a person either:
"Screenshot_20240101-120000_Chrome"."""

_DATE: Final = re.compile(
    r"(?<!\d)(?:19|20)\d\d(?P<s>[-_. ]?)(?:0[1-9]|1[0-2])(?P=s)(?:0[1-9]|[12]\d|3[01])"
    r"(?!\d{1,3}(?!\d))"
    r"|(?<!\d)(?:0[1-9]|[12]\d|3[01])(?P<t>[-_.])(?:0[1-9]|1[0-2])(?P=t)(?:19|20)\d\d(?!\d)"
)
_MONTH: Final = re.compile(r"(?:19|20)\d\d([-_. ])(?:0[1-9]|1[0-2])(?!\d)")
_OF_A_CAMERA: Final = re.compile(r"1\d\d(?=.*[A-Z])[A-Z0-9_]{5}")
_UUID: Final = re.compile(r"[0-9a-f]{8}(?:[-_]?[0-9a-f]{4}){3}[-_]?[0-9a-f]{12}", re.IGNORECASE)
_RUN: Final = re.compile(r"[A-Za-z0-9]+")
_NUMBER_OF_SOMEBODY: Final = re.compile(r"[A-Za-z]\d+[ _.-]+\d+")
_TOKEN: Final = re.compile(r"[^\W\d_]+|\d+")
_LEAST_HASH, _LEAST_TURNS = 8, 3


def why_nobody(stem: str) -> str | None:
    """Why a photo's name is no person's, in words; None: it may be one.

    Args:
        stem: name of the file without its suffix, or of a folder.
    """
    name = unicodedata.normalize("NFC", stem)
    tokens = _TOKEN.findall(name)
    letters = [token for token in tokens if not token[0].isdigit()]
    if not letters:
        return "it is a number or a date"
    if _UUID.search(name) or any(_random(run) for run in _RUN.findall(name)):
        return "it is a hash or an identifier"
    if _NUMBER_OF_SOMEBODY.fullmatch(name):  # "s0001_02", as data sets call people
        return None
    first = tokens[0]
    numbered = len(tokens) > 1 and any(token[0].isdigit() for token in tokens[1:])
    if first in _CAPITALS and len(tokens) == 2 and len(tokens[1]) >= 4:
        return f"{first} is what cameras and programs call photos"
    if first.casefold() in _LEADING and numbered:
        return f"{first} is what cameras and programs call photos"
    if all(_says_nothing(token) for token in letters):
        words = " ".join(letters)
        return f"{words} is what cameras and programs call photos"
    if _DATE.search(name):
        return "it has a date in it"
    return None


def why_album(name: str) -> str | None:
    """Why a folder's name is an album's and no person's, in words; None: it may be a person's.

    Dates ("2024-05", "2024-05-01 Rome") and what cameras and programs call folders ("100CANON",
    "DCIM", "Screenshots"). Numbers and hashes pass: data sets call people by them.

    Args:
        name: of the folder.
    """
    normal = unicodedata.normalize("NFC", name).strip()
    if _DATE.search(normal) or _MONTH.match(normal):
        return "it has a date for a name"
    letters = [token for token in _TOKEN.findall(normal) if not token[0].isdigit()]
    said = letters and all(len(word) > 1 and word.casefold() in _WORDS for word in letters)
    if said or _OF_A_CAMERA.fullmatch(normal):
        return f"{normal} is what cameras and programs call folders"
    return None


def _says_nothing(word: str) -> bool:
    # A single Latin letter is a camera's ("P1010001") or a network's ("1234_5678_n").
    return word.casefold() in _WORDS or (len(word) == 1 and word.isascii())


def _random(run: str) -> bool:
    """Letters and digits in turn, as no name has them: "a3f9c2e1", "AF1QipN7xK2"."""
    if len(run) < _LEAST_HASH:
        return False
    turns = sum(a.isdigit() != b.isdigit() for a, b in itertools.pairwise(run))
    return turns >= _LEAST_TURNS
