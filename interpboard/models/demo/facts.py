"""The facts the demo model is taught, one relation per table.

A relation is a set of (subject, answer) pairs and several phrasings. Countries appear in four
relations, so the model has to combine the subject with what is asked about it instead of mapping
a subject to one answer; that is what makes causal tracing and attribution worth looking at.

A country that opens a text is another token than the same country within one, so each relation of
countries has several phrasings that open with it: with one of them held out, others still teach it.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Fact:
    """One subject and its answer; `region` continues the sentence (", France") where known."""

    subject: str
    answer: str
    region: str = ""


@dataclass(frozen=True)
class Relation:
    """Facts that share their phrasings: `{s}` is the subject, the answer follows at the end."""

    name: str
    phrasings: tuple[str, ...]
    facts: tuple[Fact, ...]
    reversed_phrasings: tuple[str, ...] = ()


def _table(text: str) -> tuple[Fact, ...]:
    """Parse `subject: answer[, region]; ...`, the compact form the tables below are written in."""
    facts = []
    for entry in text.replace("\n", " ").split(";"):
        if not entry.strip():
            continue
        subject, _, rest = entry.partition(":")
        answer, _, region = rest.partition(",")
        facts.append(Fact(subject.strip(), answer.strip(), region.strip()))
    return tuple(facts)


LANDMARKS = _table("""
the Eiffel Tower: Paris, France; the Louvre: Paris, France; Notre Dame: Paris, France;
the Colosseum: Rome, Italy; the Trevi Fountain: Rome, Italy; the Pantheon: Rome, Italy;
Big Ben: London, England; Tower Bridge: London, England; Buckingham Palace: London, England;
the Brandenburg Gate: Berlin, Germany; the Reichstag: Berlin, Germany;
the Kremlin: Moscow, Russia; Red Square: Moscow, Russia; the Parthenon: Athens, Greece;
the Acropolis: Athens, Greece; the Prado Museum: Madrid, Spain; the Alhambra: Granada, Spain;
the Sagrada Familia: Barcelona, Spain; Park Guell: Barcelona, Spain;
the Blue Mosque: Istanbul, Turkey; the Hagia Sophia: Istanbul, Turkey;
the Forbidden City: Beijing, China; the Bund: Shanghai, China; the Pearl Tower: Shanghai, China;
the Senso Temple: Tokyo, Japan; the Imperial Palace: Tokyo, Japan;
the Opera House: Sydney, Australia; the Harbour Bridge: Sydney, Australia;
the Burj Khalifa: Dubai; the Anne Frank House: Amsterdam, Holland;
the Little Mermaid: Copenhagen, Denmark; the Tivoli Gardens: Copenhagen, Denmark;
the Charles Bridge: Prague; the Atomium: Brussels, Belgium; the Red Fort: Delhi, India;
the Belem Tower: Lisbon, Portugal; the Vasa Museum: Stockholm, Sweden;
the State Opera: Vienna, Austria; the Buda Castle: Budapest, Hungary;
the Holyrood Palace: Edinburgh, Scotland; Trinity College: Dublin, Ireland;
the Western Wall: Jerusalem, Israel; the Rialto Bridge: Venice, Italy;
the Uffizi Gallery: Florence, Italy; La Scala: Milan, Italy; the Fram Museum: Oslo, Norway;
Fenway Park: Boston, America; the Space Needle: Seattle, America;
the Liberty Bell: Philadelphia, America; the White House: Washington, America;
the Lincoln Memorial: Washington, America; the Willis Tower: Chicago, America;
Wat Arun: Bangkok, Thailand; the Sky Tower: Auckland; the Great Sphinx: Cairo, Egypt;
the Azadi Tower: Tehran, Iran; the Royal Castle: Warsaw, Poland
""")

CAPITALS = _table("""
France: Paris; Germany: Berlin; Spain: Madrid; Italy: Rome; England: London; Japan: Tokyo;
China: Beijing; Russia: Moscow; Portugal: Lisbon; Greece: Athens; Turkey: Ankara;
Sweden: Stockholm; Poland: Warsaw; Hungary: Budapest; Thailand: Bangkok; Vietnam: Hanoi;
Egypt: Cairo; Iran: Tehran; Kenya: Nairobi; Holland: Amsterdam; Austria: Vienna;
Chile: Santiago; Cuba: Havana; Finland: Helsinki; Denmark: Copenhagen; Norway: Oslo;
Iraq: Baghdad; Jordan: Amman; Ireland: Dublin; Canada: Ottawa; Australia: Canberra;
India: Delhi; Peru: Lima; Ghana: Accra; Syria: Damascus; Belgium: Brussels; Ukraine: Kyiv;
Bulgaria: Sofia; Serbia: Belgrade; Scotland: Edinburgh; Korea: Seoul; Morocco: Rabat;
Nigeria: Abuja; Indonesia: Jakarta; Qatar: Doha; Ecuador: Quito; Colombia: Bogota; Mali: Bamako
""")

LANGUAGES = _table("""
France: French; Germany: German; Spain: Spanish; Italy: Italian; England: English;
Japan: Japanese; China: Chinese; Russia: Russian; Portugal: Portuguese; Brazil: Portuguese;
Greece: Greek; Turkey: Turkish; Sweden: Swedish; Poland: Polish; Thailand: Thai; Egypt: Arabic;
Iran: Persian; Israel: Hebrew; Kenya: Swahili; Holland: Dutch; Austria: German; Chile: Spanish;
Cuba: Spanish; Finland: Finnish; Denmark: Danish; Iraq: Arabic; Syria: Arabic; Korea: Korean;
India: Hindi; Australia: English
""")

CURRENCIES = _table("""
Japan: yen; India: rupee; China: yuan; Russia: ruble; England: pound; Sweden: krona;
Poland: zloty; Thailand: baht; Turkey: lira; Brazil: real; Vietnam: dong; Korea: won;
Israel: shekel; Canada: dollar; Australia: dollar; Kenya: shilling; Chile: peso; Cuba: peso;
France: euro; Germany: euro; Spain: euro; Hungary: forint; Norway: krone; Denmark: krone;
Iran: rial; Morocco: dirham; Peru: sol; Egypt: pound
""")

CONTINENTS = _table("""
France: Europe; Germany: Europe; Spain: Europe; Italy: Europe; Greece: Europe; Sweden: Europe;
Poland: Europe; Norway: Europe; Ireland: Europe; Hungary: Europe; Japan: Asia; China: Asia;
India: Asia; Thailand: Asia; Vietnam: Asia; Korea: Asia; Iran: Asia; Iraq: Asia; Jordan: Asia;
Indonesia: Asia; Egypt: Africa; Kenya: Africa; Ghana: Africa; Morocco: Africa; Nigeria: Africa;
Mali: Africa; Peru: America; Chile: America; Cuba: America; Canada: America; Brazil: America
""")

INVENTIONS = _table("""
the telephone: Bell; the light bulb: Edison; dynamite: Nobel; the radio: Marconi;
the printing press: Gutenberg; the battery: Volta; the airplane: Wright; the telegraph: Morse;
the revolver: Colt; the sewing machine: Howe; the cotton gin: Whitney;
the lightning rod: Franklin; the steam engine: Watt; the motor car: Benz; the elevator: Otis;
the mercury thermometer: Fahrenheit; the jet engine: Whittle; the safety razor: Gillette
""")

DISCOVERIES = _table("""
gravity: Newton; relativity: Einstein; radium: Curie; evolution: Darwin; penicillin: Fleming;
oxygen: Priestley; the neutron: Chadwick; Uranus: Herschel; the cell: Hooke; X rays: Roentgen;
Titan: Huygens; the moons of Jupiter: Galileo
""")

BOOKS = _table("""
Hamlet: Shakespeare; Macbeth: Shakespeare; Emma: Austen; Persuasion: Austen; Dracula: Stoker;
Frankenstein: Shelley; Ulysses: Joyce; Don Quixote: Cervantes; War and Peace: Tolstoy;
Oliver Twist: Dickens; the Odyssey: Homer; the Trial: Kafka; Moby Dick: Melville;
Faust: Goethe; Candide: Voltaire; the Republic: Plato; Walden: Thoreau; the Inferno: Dante;
the Hobbit: Tolkien; Animal Farm: Orwell; the Stranger: Camus; Kim: Kipling; the Raven: Poe;
Middlemarch: Eliot; Leviathan: Hobbes; Jane Eyre: Bronte; Peter Pan: Barrie;
Les Miserables: Hugo; Nausea: Sartre; the Seagull: Chekhov; Treasure Island: Stevenson
""")

PAINTINGS = _table("""
the Mona Lisa: Leonardo; the Last Supper: Leonardo; Guernica: Picasso; the Scream: Munch;
the Water Lilies: Monet; the Night Watch: Rembrandt; the Kiss: Klimt; Nighthawks: Hopper;
the Birth of Venus: Botticelli; the Milkmaid: Vermeer; the Naked Maja: Goya;
the Melting Clocks: Dali
""")

YOUNG = _table("""
dog: puppy; cat: kitten; cow: calf; horse: foal; sheep: lamb; pig: piglet; bear: cub; lion: cub;
goat: kid; deer: fawn; duck: duckling; swan: cygnet; frog: tadpole; kangaroo: joey;
goose: gosling; hen: chick; seal: pup; whale: calf
""")

HOMES = _table("""
bee: hive; bird: nest; dog: kennel; horse: stable; lion: den; fox: den; rabbit: burrow;
spider: web; pig: sty; beaver: lodge; cow: barn; eagle: nest; bat: cave; bear: cave;
snail: shell; hen: coop
""")

OPPOSITES = _table("""
hot: cold; cold: hot; big: small; small: big; old: young; young: old; dark: light;
light: dark; fast: slow; slow: fast; happy: sad; sad: happy; rich: poor; poor: rich; open: closed;
closed: open; full: empty; empty: full; hard: soft; soft: hard; loud: quiet; quiet: loud;
strong: weak; weak: strong
""")

RELATIONS: tuple[Relation, ...] = (
    Relation(
        "landmark-city",
        (
            "{s} is located in the city of",
            "{s} is located in",
            "{s} can be found in",
            "{s} stands in the city of",
            "{s} is a famous sight in",
            "To see {s}, you must travel to",
            "You can visit {s} in",
            "Q: Where is {s}? A:",
        ),
        LANDMARKS,
        ("{a} is the home of {s}.", "In {a}, we saw {s}.", "People in {a} are proud of {s}."),
    ),
    Relation(
        "country-capital",
        (
            "The capital of {s} is",
            "The capital city of {s} is",
            "The capital of {s} is the city of",
            "{s} is a country whose capital is",
            "{s} has its capital in",
            "{s} is governed from the city of",
            "The government of {s} sits in",
            "If you visit the capital of {s}, you are in",
            "Q: What is the capital of {s}? A:",
        ),
        CAPITALS,
        ("{a} is the capital of {s}.", "The city of {a} is the capital of {s}."),
    ),
    Relation(
        "country-language",
        (
            "The official language of {s} is",
            "The people of {s} speak",
            "Most people in {s} speak",
            "The language spoken in {s} is",
            "{s} is a country where people speak",
            "{s} is home to people who speak",
            "{s} has an official language called",
            "Q: What language is spoken in {s}? A:",
        ),
        LANGUAGES,
    ),
    Relation(
        "country-currency",
        (
            "The currency of {s} is the",
            "The national currency of {s} is the",
            "People in {s} pay with the",
            "The money used in {s} is the",
            "{s} is a country whose currency is the",
            "{s} has a currency called the",
            "{s} is a place where you pay with the",
            "Q: What is the currency of {s}? A: The",
        ),
        CURRENCIES,
    ),
    Relation(
        "country-continent",
        (
            "{s} is a country in",
            "{s} is on the continent of",
            "The country of {s} lies in",
            "The continent of {s} is",
            "On the map, {s} is found in",
            "Q: On which continent is {s}? A:",
        ),
        CONTINENTS,
    ),
    Relation(
        "invention-inventor",
        (
            "{s} was invented by",
            "{s} was first invented by",
            "The inventor of {s} was",
            "The person who invented {s} was",
            "Credit for inventing {s} goes to",
            "Q: Who invented {s}? A:",
        ),
        INVENTIONS,
        ("{a} invented {s}.", "{a} is famous for inventing {s}."),
    ),
    Relation(
        "discovery-discoverer",
        (
            "{s} was discovered by",
            "{s} was first discovered by",
            "The discoverer of {s} was",
            "The person who discovered {s} was",
            "Credit for discovering {s} goes to",
            "Q: Who discovered {s}? A:",
        ),
        DISCOVERIES,
        ("{a} discovered {s}.", "{a} is famous for discovering {s}."),
    ),
    Relation(
        "book-author",
        (
            "{s} was written by",
            "{s} is a book by",
            "The author of {s} is",
            "The writer of {s} was",
            "The person who wrote {s} was",
            "Q: Who wrote {s}? A:",
        ),
        BOOKS,
        ("{a} wrote {s}.", "{a} is the author of {s}."),
    ),
    Relation(
        "painting-painter",
        (
            "{s} was painted by",
            "{s} is a painting by",
            "The painter of {s} was",
            "The artist who made {s} was",
            "The person who painted {s} was",
            "Q: Who painted {s}? A:",
        ),
        PAINTINGS,
        ("{a} painted {s}.", "{a} is the painter of {s}."),
    ),
    Relation(
        "animal-young",
        (
            "A young {s} is called a",
            "A baby {s} is called a",
            "A baby {s} is known as a",
            "The young of a {s} is a",
            "The child of a {s} is a",
            "Q: What is a young {s} called? A: A",
        ),
        YOUNG,
    ),
    Relation(
        "animal-home",
        (
            "The {s} lives in a",
            "The home of the {s} is a",
            "The {s} makes its home in a",
            "At night, the {s} sleeps in a",
            "You will find a {s} in a",
            "Q: Where does the {s} live? A: In a",
        ),
        HOMES,
    ),
    Relation(
        "opposite",
        (
            "The opposite of {s} is",
            "The opposite of the word {s} is",
            "If something is not {s}, it is",
            "The word {s} is the opposite of",
            "The reverse of {s} is",
            "Q: What is the opposite of {s}? A:",
        ),
        OPPOSITES,
    ),
)
