"""Words for a scene, and the reading of words back into what a picture must show."""

from __future__ import annotations

from random import Random

from world import Scene, band_of

SYNONYMS = {
    "old": ("old", "old", "elderly"),
    "young": ("young", "young", "youthful"),
    "smiling": ("smiling", "smiling", "happy"),
    "sad": ("sad", "sad", "frowning"),
    "muscular": ("muscular", "muscular", "strong"),
    "thin": ("thin", "thin", "skinny"),
}
OPENINGS = ("", "", "a picture of ", "a drawing of ", "a portrait of ")
STYLE_WORDS = {"lego": "in lego style", "watercolor": "in watercolor style", "crayon": "in crayon style"}


def article(words: str) -> str:
    return ("an " if words[0] in "aeiou" else "a ") + words


def caption(scene: Scene, rng: Random, keep: float = 0.6) -> tuple[str, dict[str, str]]:
    """A caption that names each attribute with chance `keep`, and the attributes that it names.

    The second value maps attribute to word ({"age": "old", "background": "blue"}); `kind` is always among them.
    """
    said: dict[str, str] = {"kind": scene.kind}
    words = person_words(scene, rng, keep, said) if scene.kind == "person" else thing_words(scene, rng, keep, said)
    if rng.random() < keep:
        said["background"] = scene.background
        words += f" on a {scene.background} background"
    if scene.kind not in ("beach", "city") and scene.backdrop != "plain" and rng.random() < keep:
        words += f", {scene.backdrop}"
    words += place_words(scene, rng, keep)
    if scene.style:
        said["style"] = scene.style
        words += ", " + STYLE_WORDS[scene.style]
    opening = rng.choice(OPENINGS if scene.kind == "person" else OPENINGS[:4])
    return opening + words, said


def person_words(scene, rng, keep, said) -> str:
    if scene.subject:
        said["subject"] = scene.subject
    front = []
    for attribute in ("age", "build", "smile"):
        word = band_of(attribute, getattr(scene, attribute))
        if word and not scene.subject and rng.random() < keep:
            said[attribute] = word
            front.append(rng.choice(SYNONYMS.get(word, (word,))))
    rng.shuffle(front)
    words = article(" ".join([*front, scene.subject or "person"]))
    if not scene.subject:
        words += hair_words(scene, rng, keep, said)
    worn = []
    if rng.random() < keep:
        said["color"] = scene.color
        worn.append(f"a {scene.color} shirt")
    worn += [thing for thing, there in (("glasses", scene.glasses), ("a hat", scene.hat), ("a crown", scene.crown))
             if there and rng.random() < 0.9]
    return words + (" wearing " + " and ".join(worn) if worn else "")


def hair_words(scene, rng, keep, said) -> str:
    having = []
    if rng.random() < keep * 0.6:
        said["skin"] = scene.skin
        having.append(f"{scene.skin} skin")
    if not scene.hat and rng.random() < keep:
        if scene.hair_style == "no":
            having.append("no hair")
        else:
            color = scene.hair if scene.grayness < 0.3 else "white" if scene.grayness > 0.9 else ""
            said |= {"hair": color} if color else {}
            said["hair_style"] = scene.hair_style
            having.append(f"{scene.hair_style} {color} hair".replace("  ", " "))
    if scene.beard and rng.random() < 0.9:
        having.append("a beard")
    return " with " + " and ".join(having) if having else ""


def thing_words(scene, rng, keep, said) -> str:
    if rng.random() < max(keep, 0.7):
        said["color"] = scene.color
        if scene.kind == "beach":
            return f"a beach with a {scene.color} umbrella"
        return f"a {scene.color} {scene.kind}"
    return article(scene.kind)


def place_words(scene, rng, keep) -> str:
    words = ""
    if abs(scene.x) > 0.07 and scene.kind not in ("beach", "city") and rng.random() < keep * 0.6:
        words += ", on the left" if scene.x < 0 else ", on the right"
    if rng.random() < keep * 0.6:
        words += ", close up" if scene.scale > 1.04 else ", far away" if scene.scale < 0.9 else ""
    return words
