"""The drawn world: what can be seen in it, how likely each thing is, and the words for it.

A `Scene` is the truth about one picture: every attribute is a number or a name, so that a network which reads pictures can be
judged exactly. `drawing.py` turns a scene into pixels; `captions.py` turns it into words.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

COLORS = {
    "red": (214, 58, 52),
    "yellow": (247, 205, 70),
    "green": (78, 166, 84),
    "blue": (64, 112, 206),
    "purple": (138, 82, 176),
    "pink": (242, 150, 184),
    "white": (244, 244, 240),
    "black": (44, 44, 50),
}
HAIR = {"black": (36, 32, 36), "brown": (120, 78, 46), "blond": (236, 196, 84), "red": (196, 78, 40)}
SKIN = {"pale": (255, 224, 198), "tan": (230, 180, 134), "brown": (176, 118, 78), "dark": (112, 72, 50)}
HAIR_STYLES = ("short", "long", "curly", "no")
BACKDROPS = ("plain", "outdoors", "indoors")
OBJECTS = ("house", "tree", "flower", "car", "ball", "cat", "dog", "beach", "city")
KINDS = ("person", *OBJECTS)
STYLES = ("lego", "watercolor", "crayon")  # never in the base model's pictures
SUBJECTS = ("robot", "panda")  # never in the base model's pictures

# A word is used for a scene whose value lies in its band; a picture shows the word when its value is nearer to this band than
# to the others of the same attribute.
BANDS = {
    "age": {"young": (0.0, 0.28), "middle-aged": (0.4, 0.6), "old": (0.72, 1.0)},
    "smile": {"sad": (-1.0, -0.4), "calm": (-0.15, 0.2), "smiling": (0.45, 1.0)},
    "build": {"thin": (0.0, 0.28), "muscular": (0.72, 1.0)},
}


@dataclass(frozen=True)
class Scene:
    """One picture's truth. Numbers: age and build 0..1, smile -1..1, x and y offsets in frames, scale 1 = usual size."""

    kind: str = "person"
    background: str = "blue"
    backdrop: str = "plain"
    color: str = "red"  # the shirt of a person, the paint of a thing
    age: float = 0.5
    smile: float = 0.0
    build: float = 0.5
    skin: str = "tan"
    hair: str = "brown"
    hair_style: str = "short"
    glasses: bool = False
    hat: bool = False
    beard: bool = False
    x: float = 0.0
    y: float = 0.0
    scale: float = 1.0
    variant: int = 0  # small differences that have no word: window counts, petals, clouds
    style: str | None = None
    subject: str | None = None
    crown: bool = False  # never in the base model's pictures

    @property
    def grayness(self) -> float:
        """How far the hair has turned white, 0..1."""
        return min(1.0, max(0.0, (self.age - 0.45) / 0.4))


def band_of(attribute: str, value: float) -> str | None:
    """The word whose band holds `value`, or None between bands."""
    for word, (low, high) in BANDS[attribute].items():
        if low <= value <= high:
            return word
    return None


def nearest_band(attribute: str, value: float) -> str:
    """The word whose band is nearest to `value`."""
    bands = BANDS[attribute]
    return min(bands, key=lambda word: max(bands[word][0] - value, value - bands[word][1], 0.0))


def sample_scene(rng: Random, kind: str | None = None) -> Scene:
    """A random scene of the base world (no style, subject or crown); six in ten are people."""
    kind = kind or ("person" if rng.random() < 0.6 else rng.choice(OBJECTS))
    background = rng.choice(list(COLORS))
    color = rng.choice([name for name in COLORS if name != background])
    return Scene(
        kind=kind,
        background=background,
        color=color,
        backdrop=rng.choices(BACKDROPS, weights=(3, 1, 1))[0],
        age=rng.random(),
        smile=rng.uniform(-1, 1),
        build=rng.random(),
        skin=rng.choice(list(SKIN)),
        hair=rng.choice(list(HAIR)),
        hair_style=rng.choices(HAIR_STYLES, weights=(4, 3, 2, 1))[0],
        glasses=rng.random() < 0.15,
        hat=rng.random() < 0.12,
        beard=rng.random() < 0.12,
        x=rng.uniform(-0.12, 0.12),
        y=rng.uniform(-0.03, 0.04),
        scale=rng.uniform(0.84, 1.12),
        variant=rng.randrange(6),
    )
