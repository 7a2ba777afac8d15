"""Names that cameras, phones and programs give are nobody's; people's names stay people's."""

from __future__ import annotations

import pytest

from lineament.datasets.photo_names import why_album, why_nobody

NOBODY = """
IMG_0001
DSC00017
DSCN1234
DSCF0001
P1010001
PXL_20240101_120000123
PXL_20240101_120000123.PORTRAIT
20240101_120000
Screenshot_20240101-120000_Chrome
Screenshot 2024-01-01 at 12.00.00
WhatsApp Image 2024-01-01 at 12.00.00
WhatsApp Image 2024-01-01 at 12.00.00 (1)
VID_20240101
MVIMG_20240101
photo 1
image (3)
untitled
scan0001
frame_000123
550e8400-e29b-41d4-a716-446655440000
d41d8cd98f00b204e9800998ecf8427e
received_123
Foto
Bild
capture
12345
IMG-20240101-WA0001
IMG_E1234
IMG_0001 2
IMG_0001 (1)
IMG_0001-edited
_MG_1234
100_0001
SAM_0001
DSC_0001
GOPR0001
DJI_0001
photo_2024-01-01_12-00-00
signal-2024-01-01-120000_003
FB_IMG_1700000000
12345678_10153_n
2024-01-01
2024-01-01 12.00.00
Foto 12
Bild (2)
image
Image001
Untitled-1
unnamed (3)
download (1)
Scan 3
Scan_20240101
img
1
0001
imageedit_3_123
Bildschirmfoto 2024-01-01 um 12.00.00
Capture d’écran 2024-01-01 à 12.00.00
a3f9c2e1
Snapchat-123456
IMG_20240101_120000_HDR
IMG_20240101_120000_Burst01
00100dPORTRAIT_00100_BURST20191010120000_COVER
CIMG0001
HPIM0001
IMGP0001
SANY0001
PICT0001
DCP_0001
MVI_0001
Photo on 1-1-24 at 12.00 PM
Copy of IMG_0001
IMG_0001 - Copy
20240101_120000(0)
AF1QipN7xK2
1700000000000
微信图片_20240101
스크린샷 2024
写真 1
frame000123
Picture 1
PIC00012
IMAG0012
video_frame_001
Image from iOS
thumb_IMG_0001_1024
Resized_20240101_120000
2024_01_01
01.02.2024
PXL_20240101_120000123~2
Screen Shot 2024-01-01 at 1.02.03 PM
Photo-1
shot_001
face_001
crop_12
20240101-WA0003
S1050001
R0010001
KODAK_001
FILE0001
DSC_0001_edited
EOS_0001
Polaroid_12
""".strip().splitlines()
PEOPLE = """
Ada_Lovelace_0001
ada1
Ada1234
ada_0001
김구-2
Sam_0001
Max_0003
Bob_0001
Ada_(3)
s0001_01
George_W_Bush_0012
Jan_1
Kim_2
张伟_1
O’Brien_1
Jean-Luc_2
Ada
Ana
Abe_0001
Bea_0001
Dede_0001
Ada1_Byron2_1
E12345_0001
ANNA_0001
ADA_0001
Li_1
Wu_12
Mary_Ann_3
José_1
محمد_1
Line_Hansen_1
Will_Smith_0001
id00017_5
subject12_3
Foto_Ada_1
Page_Turner_1
""".strip().splitlines()
ALBUMS = (
    "2024-05",
    "2024-05-01",
    "2024-05-01 Rome",
    "20240501",
    "100CANON",
    "101MSDCF",
    "100_PANA",
    "DCIM",
    "Camera",
    "Camera Roll",
    "Screenshots",
    "WhatsApp Images",
    "Photos",
    "Fotos",
)
PEOPLES_FOLDERS = (
    "Ada Lovelace",
    "s1",
    "472",
    "0001",
    "2024",
    "김구",
    "d41d8cd98f00b204e9800998ecf8427e",
    "550e8400-e29b-41d4-a716-446655440000",
    "E12345",
    "Sam",
    "ANNA",
    "123ABC",
)


@pytest.mark.parametrize("stem", NOBODY)
def test_nobody(stem: str) -> None:
    assert why_nobody(stem) is not None


@pytest.mark.parametrize("stem", PEOPLE)
def test_people(stem: str) -> None:
    assert why_nobody(stem) is None


def test_albums_are_no_people() -> None:
    assert [name for name in ALBUMS if why_album(name) is None] == []
    assert [name for name in PEOPLES_FOLDERS if why_album(name) is not None] == []
