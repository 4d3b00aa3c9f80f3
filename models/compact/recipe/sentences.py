"""What people say around the thing they look for: sentences of ten to thirty words that change nothing about it."""

WHO = ["my sister", "a colleague", "our teacher", "the mechanic", "somebody from the office", "my cousin", "an old friend of mine", "the man next door", "my boss", "a tourist",
       "her husband", "one of the guests", "the photographer", "my aunt", "his mother", "the landlord", "a student", "our guide", "nobody in the club", "everyone at work"]
DID = ["bought", "sold", "borrowed", "was driving", "has repaired", "wants", "drove", "washed", "talked about", "had ordered", "is proud of", "would like to own", "once crashed",
       "came here in", "always dreamt of", "parked", "collects pictures of", "asked me for", "got for the anniversary", "rented"]
ASK = ["could you look for", "i would like to have a picture of", "is there any photo of", "let me see", "what i want is", "help me find", "it would be nice to get", "do we still have",
       "search for", "give me", "i wonder if you have", "try to find", "i am after", "we need", "where is", "get me a good shot of", "this should be", "it was", "please look up",
       "which one of them is", "there is supposed to be", "maybe there is", "the thing i remember is", "all i know is that it was", "we are looking at", "i saw"]
AND = ["and", "so", "but", "because", "while", "although", "since", "when", "until", "after"]
SAID = ["it was raining that morning", "nobody knew whose it was", "we had missed the bus", "the shop was closed", "i have forgotten the name", "it is for a school project",
        "the insurance asks for it", "my laptop is slow today", "it looked so nice in the evening light", "the picture was taken from a bridge", "the children liked it very much",
        "i want to print it on a card", "we talked about it at dinner", "the garage had no room left", "it has to be done before monday", "the battery of the phone was empty",
        "they are getting married in june", "there were many people around", "the road was wet", "i do not care about the rest", "he paid far too much", "it belonged to a museum",
        "the tyres were new", "the weather was fine", "we went for a swim later", "it was on the front page", "the article needs an illustration", "it stood there all day"]
WHERE = ["next to the bakery", "behind the museum", "at the harbour", "on a narrow lane", "under the bridge", "in the snow", "in front of a hotel", "at the petrol station", "by the river",
         "beside a fence", "in an empty lot", "near the airport", "outside the supermarket", "on the way to the lake", "opposite the church", "in a long queue", "at the market",
         "in the middle of nowhere", "close to the border", "on a sunny afternoon", "late at night", "last autumn", "two years ago", "on tuesday", "during the holidays", "at noon",
         "with its doors open", "with dirty windows", "with the lights on", "without number plates", "covered with leaves", "from behind", "from above", "as large as possible"]
# the same with any noun: no word that merely stands beside a car makes it none
SCENES = ["next to a {}", "beside the {}", "behind some {}", "near a {}", "in front of the {}", "at the {}", "with a {} on the roof", "after the {}", "before the {}", "for my {}",
          "with the {} in the background", "because of the {}", "full of {}", "while the {} was there", "when the {} had gone", "and a {}", "where the {} meets the {}", "under the {}",
          "along the {}", "instead of the {}", "between a {} and a {}", "without any {}", "like the {} of my {}", "on the day of the {}"]


def article(thing):
    return ("an " if thing[0] in "aeio" else "a ") + thing


def scene(nouns, rng):
    """Where the thing stands, or when, with some of the nouns."""
    words = rng.choice(WHERE if rng.random() < 0.4 else SCENES)
    return " " + words.format(*(rng.choice(nouns) for _ in range(words.count("{}"))))


def around(thing, nouns, rng):
    """A sentence around the thing, in which some of the nouns occur as well."""
    name = rng.choice([article(thing), article(thing), "the " + thing, "some " + thing, "this " + thing, "that " + thing])
    out = rng.choice([f"{rng.choice(ASK)} {name}", f"{rng.choice(ASK)} {name}", f"{rng.choice(WHO)} {rng.choice(DID)} {name}",
                      f"{rng.choice(SAID)} {rng.choice(AND)} {rng.choice(WHO)} {rng.choice(DID)} {name}", f"{rng.choice(SAID)} {rng.choice(AND)} {rng.choice(ASK)} {name}"])
    if rng.random() < 0.4:
        out += rng.choice([" that ", " which "]) + f"{rng.choice(WHO)} {rng.choice(DID)}"
    for _ in range(rng.choice([0, 1, 1, 2])):
        out += scene(nouns, rng)
    if rng.random() < 0.5:
        out += f" {rng.choice(AND)} {rng.choice(SAID)}"
    return out
