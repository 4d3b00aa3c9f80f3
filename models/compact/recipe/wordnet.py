"""WordNet's nouns, out of its files index.noun and data.noun (wndb(5WN))."""


def narrower(folder, lemma):
    """The lemmas of a noun and of all kinds of it."""
    known = {s: (words, kinds) for s, words, kinds, _ in synsets(folder)}
    lemmas, below = set(), [s for s, (words, _) in known.items() if lemma in words]
    while below:
        words, kinds = known[below.pop()]
        lemmas.update(words)
        below += kinds
    return lemmas


def common(folder):
    """Nouns that occur in WordNet's own texts -> (lemma, which of its files has the first meaning, as in lexnames(5WN))."""
    files = {s: file for s, _, _, file in synsets(folder)}
    for line in open(f"{folder}/index.noun"):
        if line[0] != " ":
            # lemma, part of speech, number of meanings, number of pointers, the pointers, number of meanings, how many occur, the meanings
            fields = line.split()
            occurring, first = fields[5 + int(fields[3]):][:2]
            if int(occurring) > 0:
                yield fields[0], files[first]


def synsets(folder):
    """(offset, lemmas, offsets of kinds of it, file) of each."""
    for line in open(f"{folder}/data.noun"):
        if line[0] != " ":
            fields = line.split(" | ")[0].split()
            after = 4 + 2 * int(fields[3], 16)
            pointers = fields[after + 1:]
            yield (fields[0], [w.lower() for w in fields[4:after:2]],
                   [to for symbol, to in zip(pointers[::4], pointers[1::4]) if symbol == "~"], fields[1])
