"""The one-time code of a pairing: a number and three words, such as ``42-river-lemon-tiger``.

The number says which machine shows it (a hundredth of all device ids have it), so that the other one
need not try everybody within reach. The words are the secret: 24 bits. Who listens learns nothing
of them (SPAKE2), who calls has one guess, so a guess succeeds once in 16.7 million pairings.
"""

import re
import secrets

from changecapture.errors import ConfigError

WORDS_IN_CODE = 3
FORM = "a number and three words, as in 42-river-lemon-tiger"


def number_of(device: str) -> int:
    """Return the number that stands for a device, 10 to 99."""
    return 10 + int(device[:8], 16) % 90


def make_code(device: str) -> str:
    """Return a new code for a device that shows it."""
    return "-".join([str(number_of(device)), *(secrets.choice(WORDS) for _ in range(WORDS_IN_CODE))])


def read_code(text: str) -> tuple[int, str]:
    """Return the number and the whole code as it was made; raise ConfigError with what is wrong."""
    parts = [part for part in re.split(r"[^a-z0-9]+", text.lower()) if part]
    if len(parts) != 1 + WORDS_IN_CODE or not re.fullmatch(r"[0-9]{2}", parts[0]):
        raise ConfigError("that is not a pairing code", mend=f"it is {FORM}")
    for word in parts[1:]:
        if word not in WORDS:
            raise ConfigError(f"'{word[:20]}' is in no pairing code", mend="look at the other machine again")
    return int(parts[0]), "-".join(parts)


WORDS = """\
acorn album alley amber anchor ankle apple april apron arena arrow atlas attic autumn bacon badge
baker bamboo banana banjo barrel basket beach beacon bench bicycle birch bishop blanket blossom
board border bottle branch bread bridge broom bucket buffalo butter button cabin cable cactus camel
camera canal candle canoe carbon carpet castle cattle cedar cellar cement chalk cherry chess circle
citrus clock cloud clover coast cobalt coffee collar copper coral cotton cousin cradle crayon
cricket crown crystal curtain dancer desert diamond dinner dolphin donkey dragon drawer drum eagle
easel elbow elephant ember engine evening fabric falcon family farmer feather ferry fiddle finger
flute forest fossil fountain galaxy garden garlic ginger giraffe glacier glove goblet golden gorilla
grape gravel guitar hammer harbor harvest hazel helmet hockey honey horizon hotel iceberg igloo
indigo insect island ivory jacket jaguar jasmine jelly jewel jungle kernel kettle kitchen koala
ladder lagoon lantern lava leather lemon leopard linen lizard lobster locket lotus lumber magnet
mango maple marble market meadow medal melon mirror mitten monkey morning motor mustard napkin
needle nickel nutmeg oasis ocean olive onion opera orange orchid otter oxygen oyster paddle palace
panda paper parrot pebble pelican pencil pepper picnic pigeon pillow pilot planet pocket pony potato
prairie pumpkin puzzle pyramid quartz rabbit radio raisin raven ribbon river robin rocket saddle
saffron salmon sandal satin saturn scarf school shadow silver sister smoke spider spring squash
stable stone summer sunset syrup tailor temple tiger timber tomato tulip tunnel turtle umbrella
valley vanilla velvet violin volcano walnut whale willow window winter yellow zebra
""".split()
