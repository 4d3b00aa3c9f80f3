"""Animals, plants and food that the captions hardly have. Where one is a single token, nothing but misspelt names may have used it
("dogge" for Dodge begins with "dog"), and it would stand among the cars; it is put in the middle of those that the captions do have."""
import random
import numpy as np

CAPTIONS, FEW = 60000, 20
KINDS = {"05", "13", "20"}  # as in lexnames(5WN)


def settle(model, A, tok):
    """Changes the embeddings of those tokens; returns their nouns."""
    rng = random.Random(0)
    count = np.zeros(tok.get_vocab_size(), int)
    for e in tok.encode_batch([A.thing(rng).text for _ in range(CAPTIONS)]):
        np.add.at(count, e.ids, 1)
    nouns = {w: tok.token_to_id("Ġ" + w) for w, kind in A.nouns if kind in KINDS}
    nouns = {w: i for w, i in sorted(nouns.items()) if i is not None}
    rare = [w for w, i in nouns.items() if count[i] < FEW]
    embedding = model.text.clip.text_model.embeddings.token_embedding.weight.data
    embedding[[nouns[w] for w in rare]] = embedding[[i for w, i in nouns.items() if count[i] >= FEW]].mean(0)
    return rare
