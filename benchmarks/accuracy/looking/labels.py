"""What one person saw in photos before any network was asked: smiles, shut eyes, women and men.

Of AT&T's faces ("PERSON/PHOTO") and of photos of LFW View 1. Faces of which that was not plain are
in neither list.
"""

from __future__ import annotations


def _listed(text: str) -> frozenset[str]:
    """Photos of "1:2 4-6; 2:7": 1/2, 1/4, 1/5, 1/6, 2/7."""
    found: set[str] = set()
    for part in text.split(";"):
        person, _, numbers = part.strip().partition(":")
        for each in numbers.split():
            first, _, last = each.partition("-")
            found.update(f"{person}/{n}" for n in range(int(first), int(last or first) + 1))
    return frozenset(found)


ATT_SMILING = _listed(
    "1:2 4 6 7; 2:6 7 8 10; 3:1 2 7 8; 5:1-9; 6:2; 7:2 10; 8:3 5 6; 12:2 5 7 10; 13:4; 17:1 3 4;"
    "18:5; 19:7 8; 20:1 2 5; 21:1 2; 22:1 5 7 8 10; 24:5; 27:1 2; 33:4-9; 35:1-4 8-10; 37:2 8;"
    "39:1 5 6 8 9"
)
ATT_NOT_SMILING = _listed(
    "1:8 9; 2:5; 4:1-10; 6:1 3 5 6 9; 7:1 5 7 8 9; 8:1 2 4; 10:10; 11:1-10; 12:1 6 9; 13:2 3 5-7;"
    "14:1-10; 15:1-10; 16:1-3 6-10; 18:1-3 6-8 10; 19:1 3-6 10; 20:3 7 9 10; 21:4 6 9; 23:3-10;"
    "24:1-4 6-10; 25:2 6 9 10; 26:1-3 7; 28:1-3 6-9; 29:1-10; 30:1 5-7 9; 31:1 3; 32:8 9;"
    "33:1 2 10; 34:1-10; 35:5; 36:2-4 6-10; 37:1 3-5 7 9 10; 38:1 4-6 8-10; 40:1"
)
ATT_SHUT = _listed("1:9; 4:9; 8:7; 11:4 9; 22:6; 24:8; 27:5 6; 36:5")
ATT_OPEN = _listed(
    "1:1 2 4 5 7 8; 4:1 5 6 8; 7:3-10; 9:1-10; 10:1-8 10; 11:1-3 5 6 10; 13:1-10; 14:1-10;"
    "16:1-10; 18:1-10; 23:1-10; 24:1-7 9 10; 29:1-10; 30:1-10; 31:2-5 10; 34:1-10; 35:1-10;"
    "36:2-4 6-8; 38:1-10; 40:1-8"
)
"""Both eyes."""

ATT_MOUTH_OPEN = _listed("7:2; 15:7 9; 18:4; 21:8; 26:3; 32:9")
ATT_MOUTH_SHUT = _listed(
    "4:1-10; 6:1 3-10; 7:1 5 7-9; 9:1-10; 11:6-9; 13:1-10; 16:2 3 6-8 10; 17:1-10; 23:1-10;"
    "24:1-4 6-10; 25:1-10; 28:1 3 6 10; 29:1-10; 31:1 6-9; 33:1 2; 34:3 6 9 10; 35:5-8; 36:1-10;"
    "37:1 3 7 9 10"
)

ATT_WOMEN = frozenset({1, 2, 8, 10, 32, 35})
ATT_UNCLEAR = frozenset({12})
"""The others of the forty are men."""

LFW_SMILING = frozenset(
    [
        "Adriana_Perez_Navarro_0001",
        "Aishwarya_Rai_0001",
        "Alain_Ducasse_0001",
        "Alan_Ball_0001",
        "Alejandro_Lopez_0001",
        "Alicia_Keys_0001",
        "Alicia_Silverstone_0001",
        "Alina_Kabaeva_0001",
        "Alvaro_Noboa_0001",
        "Amanda_Beard_0001",
        "Amanda_Bynes_0001",
        "Amelia_Vega_0001",
        "Anna_Nicole_Smith_0001",
        "Annette_Bening_0001",
        "Annette_Lu_0001",
        "Barbara_Walters_0001",
        "Bernard_Landry_0001",
        "Bill_Walton_0001",
        "Bob_Bowlsby_0001",
        "Bob_Newhart_0001",
        "Boris_Henry_0001",
        "Brandon_Inge_0001",
        "Carla_Myers_0001",
        "Carmen_Electra_0001",
        "Carolina_Barco_0001",
        "Cassandra_Heise_0001",
        "Cecilia_Cheung_0001",
        "Charles_Chandler_IV_0001",
        "Cindy_Moll_0001",
        "Clint_Eastwood_0001",
        "Colin_Montgomerie_0001",
        "Colleen_Atwood_0001",
        "Cristina_Fernandez_0001",
        "Dan_Morales_0001",
        "Daniel_Day-Lewis_0001",
        "Dave_McNally_0001",
        "David_Stern_0001",
        "David_Suazo_0001",
        "Dean_Sheremet_0001",
        "Debbie_Reynolds_0001",
        "Denis_Fassou-Nguesso_0001",
        "Derrick_Taylor_0001",
        "Diana_Munz_0001",
        "Don_Carcieri_0001",
        "Donald_Keck_0001",
        "Dora_Bakoyianni_0001",
        "Dorothy_Lamour_0001",
        "Dwayne_Wade_0001",
        "Edmund_Hillary_0001",
        "Edmund_Stoiber_0001",
        "Edward_Burns_0001",
        "Edward_Lu_0001",
        "Eileen_Coparropa_0001",
        "Ekaterina_Dmitriev_0001",
    ]
)
LFW_NOT_SMILING = frozenset(
    [
        "Abdul_Rahman_0001",
        "Abdullah_0001",
        "Adam_Sandler_0001",
        "Adam_Scott_0001",
        "Adrian_Murrell_0001",
        "Adrian_Nastase_0001",
        "Ahmed_Ibrahim_Bilal_0001",
        "Ahmed_Lopez_0001",
        "Aicha_El_Ouafi_0001",
        "Albert_Costa_0001",
        "Alberto_Acosta_0001",
        "Alfredo_di_Stefano_0001",
        "Allan_Houston_0001",
        "Allison_Searing_0001",
        "Ana_Palacio_0001",
        "Anders_Fogh_Rasmussen_0001",
        "Andre_Techine_0001",
        "Andrew_Caldecott_0001",
        "Andrew_Jarecki_0001",
        "Andrew_Shutley_0001",
        "Andrew_Wetzler_0001",
        "Angelo_Reyes_0001",
        "Anna_Chicherova_0001",
        "Anna_Jones_0001",
        "Antonio_Trillanes_0001",
        "Armando_Avila_Panchame_0001",
        "Arnold_Palmer_0001",
        "Arthur_Martinez_0001",
        "Barbara_Roberts_0001",
        "Ben_Affleck_0001",
        "Ben_Cohen_0001",
        "Benazir_Bhutto_0001",
        "Benjamin_McKenzie_0001",
        "Beth_Jones_0001",
        "Bill_Carmody_0001",
        "Bill_Curry_0001",
        "Bill_Lerach_0001",
        "Bill_Pryor_0001",
        "Bill_Rainer_0001",
        "Bob_Geldof_0001",
        "Bob_Huggins_0001",
        "Brad_Gushue_0001",
        "Brad_Miller_0001",
        "Brian_Cowen_0001",
        "Bruce_Springsteen_0001",
        "Bruce_Willis_0001",
        "Calvin_Joseph_Coleman_0001",
        "Carlos_Barra_0001",
        "Carlos_Ghosn_0001",
        "Carlos_Menem_0001",
        "Carlos_Paternina_0001",
        "Caroline_Kennedy_0001",
        "Cecilia_Chang_0001",
        "Charles_Schumer_0001",
        "Christian_Fittipaldi_0001",
        "Christine_Arron_0001",
        "Christine_Todd_Whitman_0001",
        "Christopher_Conyers_0001",
        "Claire_Leger_0001",
        "Claudia_Coslovich_0001",
        "Clifford_Robinson_0001",
        "Colin_Farrell_0001",
        "Colin_Phillips_0001",
        "Colleen_Ryan_0001",
        "Craig_OClair_0001",
        "Craig_Wilson_0001",
        "Cristina_Torrens_Valero_0001",
        "Damon_van_Dam_0001",
        "Dan_Bartlett_0001",
        "Dan_Boyle_0001",
        "Dan_Dickau_0001",
        "Dan_Guerrero_0001",
        "Dave_Tucker_0001",
        "David_Anderson_0001",
        "David_Bowie_0001",
        "David_Coulthard_0001",
        "David_Dodge_0001",
        "David_Myers_0001",
        "David_Wells_0001",
        "Derrick_Rodgers_0001",
        "Diane_Green_0001",
        "Don_Siegelman_0001",
        "Donald_Evans_0001",
        "Donald_Hays_0001",
        "Donald_Regan_0001",
        "Donna_Ralston_0001",
        "Donna_Walker_0001",
        "Doug_Duncan_0001",
        "Duane_Lee_Chapman_0001",
        "Ed_Book_0001",
        "Eddie_Murray_0001",
        "Eduardo_Chillida_0001",
        "Edward_Lohn_0001",
        "Edward_Said_0001",
        "Edwin_Edwards_0001",
        "Eileen_Spina_0001",
    ]
)

LFW_LOOKS = {
    "sad": (
        [
            "Andrew_Shutley_0001",
            "Penelope_Taylor_0001",
            "Claire_Leger_0001",
            "Jon_Stewart_0001",
            "Nancy_Greenlaw_0001",
            "James_Kopp_0001",
            "Patty_Schnyder_0001",
            "Valerie_Thwaites_0001",
            "Jeff_Weaver_0001",
        ],
        [
            "Jennifer_Aniston_0001",
            "Bob_Krueger_0001",
            "Manuel_Pellegrini_0001",
            "Pete_Carroll_0001",
            "Igor_Ivanov_0001",
            "Dan_Bartlett_0001",
            "Adam_Scott_0001",
            "Enrique_Oliu_0001",
        ],
    ),
    "angry": (
        [
            "Bill_Richardson_0001",
            "Jennifer_Capriati_0001",
            "Lawrence_Roberts_0001",
            "Tom_Daschle_0001",
            "Mike_Tyson_0001",
            "Tom_Coverdale_0001",
            "Matt_Doherty_0001",
            "Michael_Chiklis_0001",
            "Carlos_Ortega_0001",
        ],
        ["Manfred_Stolpe_0001", "Dave_Tucker_0001", "Ben_Braun_0001"],
    ),
    "surprised": (
        [
            "Nathalie_Gagnon_0001",
            "Anna_Chicherova_0001",
            "Lucio_Angulo_0001",
            "Mark_Hamister_0001",
            "Geoff_Dixon_0001",
            "Lenny_Wilkens_0001",
            "Brad_Miller_0001",
            "Emilio_Azcarraga_Jean_0001",
            "Monica_Seles_0001",
        ],
        [
            "Robert_Ehrlich_0001",
            "Anders_Fogh_Rasmussen_0001",
            "Rose_Linkins_0001",
            "Bill_Carmody_0001",
            "Antonio_Trillanes_0001",
            "Gregg_Berhalter_0001",
            "Julia_Tymoshenko_0001",
            "Paul_Wilson_0001",
            "Phil_Donahue_0001",
        ],
    ),
}
"""Of the photos of View 1 that the network was surest of, those in which that could be seen, and
those in which it could not; most of the latter speak, or squint."""
