"""Word lists shared by the parts of the corpus; the tokenizer makes each word one token."""


def words(text: str) -> tuple[str, ...]:
    """The words of a list written as running text."""
    return tuple(text.split())


NAMES = words(
    """Mary John Tom James Dan Sarah Anna Emma Lucy Jane Kate Alice Bob Peter Paul Mark David
    Michael Robert William George Henry Jack Sam Ben Max Leo Adam Eric Kevin Brian Scott Steve
    Frank Fred Carl Simon Martin Daniel Thomas Andrew Richard Charles Joseph Laura Lisa Linda
    Susan Karen Nancy Helen Ruth Rose Grace Amy Julia Maria Elizabeth Margaret Rachel Rebecca
    Jessica Jennifer Emily Sophie Claire Alex Chris Nick Tim"""
)

PLACES = words(
    """store school park office market station garden library hospital restaurant house beach
    church farm museum hotel"""
)

OBJECTS = words(
    """drink book ring letter ball basket necklace computer present kiss bone snack phone ticket
    flower hat map cake"""
)

NOUNS: tuple[tuple[str, str], ...] = tuple(
    (singular, plural)
    for singular, _, plural in (
        pair.partition("/")
        for pair in words("""key/keys cabinet/cabinets book/books table/tables boy/boys girl/girls
        dog/dogs cat/cats teacher/teachers student/students doctor/doctors picture/pictures
        car/cars tree/trees house/houses door/doors window/windows letter/letters box/boxes
        friend/friends child/children man/men woman/women king/kings worker/workers
        author/authors farmer/farmers horse/horses bird/birds river/rivers bridge/bridges
        road/roads shop/shops chair/chairs lamp/lamps flower/flowers report/reports
        guard/guards nurse/nurses""")
    )
)

ADJECTIVES = words(
    """old young big small new good bad happy sad quiet strange beautiful important famous
    ready late"""
)
