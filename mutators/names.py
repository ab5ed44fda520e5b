"""Frozen pools of people's names, drawn once from Faker; run ``python -m mutators.names`` to redraw.

Faker is never called while a plan is drawn: its data change between releases and a call costs as
much as a whole variant. The pools keep, for each locale, first names by gender and family names,
and for other scripts the ASCII spelling that a mailbox needs (``佐藤|sato``).
"""

import json
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

POOL = Path(__file__).parent / "names.json"
SIZE = 240  # names kept of each kind
LOCALES = (
    *("en_US", "en_IE", "de_DE", "fr_FR", "es_MX", "pt_BR", "tr_TR", "sw"),
    *("uk_UA", "ka_GE", "hi_IN", "ar_AA", "ja_JP", "ko_KR"),
)
FAMILY_FIRST = ("ja_JP", "ko_KR")


@dataclass(frozen=True, slots=True)
class Name:
    """A name as written at home and in ASCII, with the words that occur in either."""

    native: str
    ascii: str
    words: frozenset[str]


@dataclass(frozen=True, slots=True)
class Names:
    """The names of one locale."""

    she: tuple[Name, ...]
    he: tuple[Name, ...]
    last: tuple[Name, ...]
    family_first: bool


def words_of(text: str) -> frozenset[str]:
    """The words of a name, without case: what a search for whole words could stumble on.

    >>> sorted(words_of("Hans-Dieter O'Brien"))
    ['brien', 'dieter', 'hans', 'o']
    """
    spaced = "".join(c if c.isalnum() or unicodedata.combining(c) else " " for c in text)
    return frozenset(spaced.casefold().split())


@lru_cache(maxsize=8192)
def ascii_of(text: str) -> str:
    """A name as mailboxes spell it: lower-case ASCII letters, digits and inner hyphens.

    >>> ascii_of("H.-Dieter"), ascii_of("O'Brien"), ascii_of("Łukasz"), ascii_of("佐藤")
    ('h-dieter', 'obrien', 'lukasz', 'sato')
    """
    return _fold(text if text.isascii() else _spellings().get(text, text))


def _fold(text: str) -> str:
    folded = unicodedata.normalize("NFKD", text.lower().translate(_LETTERS))
    kept = "".join(c for c in folded if c.isascii() and (c.isalnum() or c == "-"))
    return kept.strip("-")


_LETTERS = str.maketrans(
    {"ß": "ss", "æ": "ae", "ø": "o", "ł": "l", "đ": "d", "ı": "i", "œ": "oe", "ð": "d", "þ": "th"}
)


@lru_cache(maxsize=1)
def _pools() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(POOL.read_text(encoding="utf-8"))["locales"]
    return found


@lru_cache(maxsize=1)
def _spellings() -> dict[str, str]:
    rows = (row for pool in _pools().values() for names in pool.values() for row in names)
    return dict(row.split("|") for row in rows if "|" in row)


@lru_cache(maxsize=32)
def names(locale: str) -> Names:
    """The frozen pool of a locale."""
    pool = _pools()[locale]
    kinds = [tuple(_name(row) for row in pool[kind]) for kind in ("she", "he", "last")]
    return Names(*kinds, family_first=locale in FAMILY_FIRST)


def _name(row: str) -> Name:
    native, _, spelled = row.partition("|")
    spelled = spelled or _fold(native)
    return Name(native, spelled, words_of(native) | words_of(spelled))


# ------------------------------------------------------------------------------ drawing them anew


def redraw() -> str:
    """The text of a new pool file, from the Faker that is installed."""
    import faker  # only here: a campaign never needs it

    locales = {}
    for locale in LOCALES:
        provider = next(
            p for p in faker.Faker(locale).get_providers() if "person" in type(p).__module__
        )
        she, he = set(provider.first_names_female), set(provider.first_names_male)
        if locale == "ar_AA":  # written without vowels: only those whose spelling we know
            last = [*provider.last_names, *_more_arabic_last_names()]
        else:
            last = list(provider.last_names)
        if locale == "uk_UA":  # the endings that are the same for women and men
            last = [n for n in last if n.endswith(("ко", "ук", "юк"))]
        locales[locale] = {
            "she": _sample(locale, [n for n in provider.first_names_female if n not in he]),
            "he": _sample(locale, [n for n in provider.first_names_male if n not in she]),
            "last": _sample(locale, last),
        }
    return json.dumps(
        {"faker": faker.VERSION, "locales": locales}, ensure_ascii=False, indent=0, sort_keys=True
    )


def _more_arabic_last_names() -> list[str]:
    import faker

    providers = faker.Faker("ar_PS").get_providers() + faker.Faker("ar_SA").get_providers()
    return [name for p in providers if "person" in type(p).__module__ for name in p.last_names]


def _sample(locale: str, found: Iterable[str]) -> list[str]:
    """At most `SIZE` usable names, spread evenly over what Faker has."""
    rows: dict[str, str] = {}
    for raw in found:
        name = " ".join(raw.split())
        spelled = _spell(locale, name)
        if _usable(name, spelled):
            rows.setdefault(spelled, name if spelled == _fold(name) else f"{name}|{spelled}")
    kept = list(rows.values())
    step = max(1.0, len(kept) / SIZE)
    return [kept[int(i * step)] for i in range(min(SIZE, len(kept)))]


def _usable(name: str, spelled: str) -> bool:
    if not 2 <= len(spelled) <= 16 or unicodedata.category(name[0]).startswith("M"):
        return False
    if not all(c.isalpha() or unicodedata.category(c)[0] == "M" or c in " '’-." for c in name):
        return False
    return words_of(name).isdisjoint(_WORDS) and spelled not in _WORDS


# Names that are also English words (a text that greets "Will" or "Grace" says something else), and
# surnames that everybody ties to one person.
_WORDS = frozenset(
    """
    adolf angel april ash august autumn baker banks barber bear bell best bill bishop black bliss
    booker booth branch brook brooks brown burn bush butler cage carter case cash castle chance
    chase christian church clay close cole cook cooper cross crystal curry cruz dale dance daisy
    dawn day dean dick dollar drew duke earl early east elder english faith farmer field finch
    fisher flowers flynn ford forest fox frank free french friend frost gay gene gibbs glass
    grace grant graves gray green grey guy hale hall hand hardy harmony harris hart hazel head
    heath heaven hill hitler holiday holly holmes hood hope house hunt hunter iris ivy jack jade
    jean jerk jewel johnson joy judge june justice kelly key king kitty knight kyle lake lamb
    lance land lane laurel law lawyer leaf lee liberty lily little long love major man marina
    mark mars mason maximum may mayor melody mercer mercy merry miles mill miller mills moon
    moss nelson nick noble north oak obama olive page paris park parker parks patience patron
    pearl pepper perry phoenix pierce pike pilot piper pole pond poole pope porter potter power
    powers precious price prince prudence putin queen rain randy ray reason reed rich rider rights
    river rivers rob robin rock roman root rose rosemary rowe ruby ruin rush sales sandy savage
    savannah self sellers serenity sharp shepherd short silver simple singer skinner sky small
    smart smith snow south sparks spears speed spring stacy star steel stephen stone storm
    street strong stuart sue summer summers sunny swan sweet tanner taylor temple tiffany trinity
    trump tucker turner unity van vice violet virginia wade walker wall walls ward warden ware
    warner waters weaver webb weeks wells west wheeler white will willow winter winters wise wolf
    wood woods worth wright yates young öcalan ocalan gülen gulen inönü inonu erdoğan erdogan seven
    stalin lenin zelensky bonaparte merkel boner cocks dicks gaylord petit bon grand blanc roux brun noble
    """.split()
)


def _spell(locale: str, name: str) -> str:
    """The ASCII spelling of a name; empty where we know none."""
    if locale == "de_DE":
        name = name.lower().translate(str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue"}))
    elif locale in ("uk_UA", "ka_GE"):
        name = "".join(_TABLES.get(c, c) for c in name.lower())
    elif locale == "hi_IN":
        name = _spell_devanagari(name)
    elif locale == "ar_AA":
        name = _ARABIC.get(name, "")
    elif locale == "ja_JP":
        name = _japanese().get(name, "")
    elif locale == "ko_KR":
        name = _KOREAN_LAST.get(name) or _spell_hangul(name)
    return _fold(name) if name.isascii() or locale in LOCALES[:8] else ""


_TABLES = dict(
    zip(
        "абвгґдеєжзиіїйклмнопрстуфхцчшщьюяʼ'",
        "a b v h g d e ie zh z y i i i k l m n o p r s t u f kh ts ch sh shch _ iu ia _ _".split(),
        strict=True,
    )
)
_TABLES |= zip(
    "აბგდევზთიკლმნოპჟრსტუფქღყშჩცძწჭხჯჰ",
    "a b g d e v z t i k l m n o p zh r s t u p k gh q sh ch ts dz ts ch kh j h".split(),
    strict=True,
)
_TABLES = {letter: spelled.strip("_") for letter, spelled in _TABLES.items()}

_DEVANAGARI = dict(
    zip(
        "अआइईउऊऋएऐओऔकखगघङचछजझञटठडढणतथदधनपफबभमयरलवशषसह",
        "a aa i ee u oo ri e ai o au k kh g gh n ch chh j jh n t th d dh n t th d dh n p ph b bh "
        "m y r l v sh sh s h".split(),
        strict=True,
    )
)
_SIGNS = dict(zip("ािीुूृेैोौॉ", "a i i u u ri e ai o au o".split(), strict=True))


def _spell_devanagari(name: str) -> str:
    """Near enough to how people spell it: inherent vowels kept inside, dropped at a word's end."""
    spelled = ""
    for word in name.split():
        for i, c in enumerate(word):
            following = word[i + 1 : i + 2]
            if c in _DEVANAGARI:
                consonant = c >= "क"
                silent = following in _SIGNS or following in ("्", "")
                spelled += _DEVANAGARI[c] + ("a" if consonant and not silent else "")
            elif c in _SIGNS:
                spelled += _SIGNS[c]
            elif c in "ंँ":
                spelled += "n"
            elif c not in "़्":
                return ""
    return spelled


def _spell_hangul(name: str) -> str:
    leads = "g kk n d tt r m b pp s ss _ j jj ch k t p h".split()
    vowels = "a ae ya yae eo e yeo ye o wa wae oe yo u wo we wi yu eu ui i".split()
    tails = "_ k k k n n n t l k m l l l p l m p p t t ng t t k t p t".split()
    spelled = ""
    for c in name:
        code = ord(c) - 0xAC00
        if not 0 <= code < 11172:
            return ""
        spelled += leads[code // 588] + vowels[code % 588 // 28] + tails[code % 28]
    return spelled.replace("_", "")


_KOREAN_LAST = {
    **{"김": "kim", "이": "yi", "박": "pak", "최": "choi", "정": "jung", "조": "cho", "강": "kang"},
    **{"윤": "yoon", "임": "lim", "오": "oh", "신": "shin", "권": "kwon", "안": "ahn", "유": "yoo"},
    **{"문": "mun", "노": "noh", "곽": "kwak", "주": "joo", "우": "woo", "구": "koo", "나": "nah"},
}


@lru_cache(maxsize=1)
def _japanese() -> dict[str, str]:
    import faker

    provider = next(
        p for p in faker.Faker("ja_JP").get_providers() if "person" in type(p).__module__
    )
    pairs = [
        *provider.first_name_female_pairs,
        *provider.first_name_male_pairs,
        *provider.last_name_pairs,
    ]
    return {kanji: romaji.lower() for kanji, _, romaji in pairs}


_ARABIC = dict(
    pair.split("=")
    for pair in """
    أحمد=ahmad تامر=tamer تميم=tamim توفيق=tawfiq ثابت=thabet جابر=jaber جاسم=jassim جعفر=jaafar
    جلال=jalal جمال=jamal جميل=jamil حاتم=hatem حازم=hazem حافظ=hafez حامد=hamed حسام=hussam
    حسن=hassan حسين=hussein حكيم=hakim حليم=halim حمدان=hamdan حمدي=hamdi حميد=hamid حيدر=haidar
    خالد=khaled خلدون=khaldoun خليفة=khalifa خليل=khalil داوود=dawood رائد=raed راشد=rashed
    راغب=ragheb رامز=ramez رامي=rami رجب=rajab رشاد=rashad رشيد=rashid رضوان=radwan رفيق=rafiq
    رمزي=ramzi رمضان=ramadan زاهر=zaher زكريا=zakaria زهير=zuhair زياد=ziad زيد=zaid زيدان=zidan
    سالم=salem سامح=sameh سامر=samer سامي=sami سعد=saad سعود=saud سعيد=saeed سفيان=sufian
    سلطان=sultan سلمان=salman سليم=salim سليمان=suleiman سمير=samir سهيل=suhail شادي=shadi
    شاكر=shaker شريف=sharif شعبان=shaaban شهاب=shihab شوقي=shawqi صابر=saber صادق=sadeq صالح=saleh
    صبحي=subhi صبري=sabri صلاح=salah ضياء=diaa طارق=tareq طلال=talal طلعت=talaat عادل=adel
    عارف=aref عاصم=asem عاطف=atef عامر=amer عبدالله=abdullah عبّاس=abbas عثمان=othman عدنان=adnan
    عزيز=aziz عصام=essam عقيل=aqeel علاء=alaa علي=ali عماد=imad عمر=omar عمران=imran عمّار=ammar
    غازي=ghazi غالب=ghaleb غانم=ghanem غسّان=ghassan فؤاد=fouad فادي=fadi فارس=fares فاروق=farouq
    فاضل=fadel فراس=firas فرج=faraj فهد=fahad فوزي=fawzi فيصل=faisal قاسم=qasem قيس=qais كريم=karim
    كمال=kamal كنان=kinan لبيب=labib لطفي=lutfi لقمان=luqman ليث=laith ماجد=majed مازن=mazen
    مالك=malek ماهر=maher محسن=mohsen محمود=mahmoud محمّد=mohammed مراد=murad مروان=marwan
    مصطفى=mustafa منصور=mansour مهدي=mahdi موسى=mousa نادر=nader ناصر=nasser نبيل=nabil نجيب=najib
    نديم=nadim نزار=nizar نعمان=numan هادي=hadi هاشم=hashem هاني=hani هيثم=haitham وائل=wael
    وسيم=wasim وليد=walid ياسر=yasser يحيى=yahya يزيد=yazid يعقوب=yaqoub يوسف=yousef يونس=younes
    آلاء=aala آيات=ayat أحلام=ahlam أروى=arwa أريج=areej أسيل=aseel أفنان=afnan أناهيد=anahid
    إخلاص=ikhlas ابتسام=ibtisam ابتهال=ibtihal ايمان=iman باسمة=basma بتول=batool بثينة=buthaina
    بشرى=bushra بلسم=balsam بلقيس=balqis بهية=bahia بيسان=bisan بيلسان=bailasan تالا=tala
    تاليا=talia ترانيم=taranim جلنار=julnar جميلة=jamila جنى=jana جوان=jwan جواهر=jawaher
    جودي=joudi جوليا=julia جيلان=jilan حلا=hala حياة=hayat دارين=darine دانة=dana دعاء=duaa
    راما=rama ربى=ruba رواء=ruwaa روعة=rawaa ريتاج=ritaj ريم=reem ريما=rima ريناد=renad
    زكية=zakia زهرة=zahra سجى=saja سديم=sadeem سلاف=sulaf سلسبيل=salsabil شهد=shahd ضحى=duha
    عالية=alia غيداء=ghaida فردوس=firdaws كوثر=kawthar لارا=lara لانا=lana لجين=lujain
    لورا=laura لورين=loreen لينا=lina مادلين=madeleine مايا=maya مريم=mariam ميار=mayar ميرا=mira
    ميسون=maysoon ناديه=nadia ناهد=nahed نوال=nawal نوره=noura نوف=nouf هاجر=hajar هايدي=haidi
    هدى=huda هناء=hanaa هنادي=hanadi هند=hind هيا=haya هيام=hiyam وفاء=wafaa يارا=yara
    ياسمين=yasmin يسرى=yusra الأنصاري=alansari الأيوبي=alayoubi البخاري=albukhari
    البغدادي=albaghdadi البيطار=albitar الترجمان=alturjuman الحلاق=alhallaq الحلواني=alhalwani
    الخالدي=alkhalidi الداودي=aldawoodi الدجاني=aldajani الدسوقي=aldesouki الساحلي=alsahili
    الشامي=alshami الشهابي=alshihabi الطحان=altahhan العارف=alaref العسلي=alasali العفيفي=alafifi
    العلمي=alalami القباني=alqabbani القزاز=alqazzaz المغربي=almaghribi المفتي=almufti
    المظفر=almuzaffar النجار=alnajjar النشاشيبي=alnashashibi النقيب=alnaqib النمري=alnimri
    بعلبكي=baalbaki بيروتي=beiruti درويش=darwish حجازي=hijazi طرابلسي=trabelsi صيداوي=saidawi
    عويضة=owaida غنيم=ghoneim غوشة=ghosheh قحطان=qahtan كنانة=kinana نسيبة=nusseibeh شتية=shtayyeh
    قطينة=qutaina جودة=joudeh وهبة=wahba البرغوثي=albarghouti التميمي=altamimi الجنيدي=aljunaidi
    الراشد=alrashed الشايع=alshaya العجلان=alajlan العقيل=alaqeel العليان=alolayan الدباغ=aldabbagh
    المهنا=almuhanna المهيدب=almuhaidib حجار=hajjar كانو=kanoo مهنا=muhanna الحجار=alhajjar
    الجابر=aljaber آل=al هندية=hindiyeh معتوق=maatouq نجم=najm عليان=elayyan شرف=sharaf
    """.split()
)


if __name__ == "__main__":
    POOL.write_text(redraw() + "\n", encoding="utf-8")
