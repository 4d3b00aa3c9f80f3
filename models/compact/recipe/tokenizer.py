"""Byte-level BPE tokenizer (4096 tokens) in HF tokenizer.json form; <|startoftext|> = 4094, <|endoftext|> = 4095.

The end token has the highest id, so 'argmax of the ids' finds it (as CLIP implementations do).
"""
import random
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from captions import Attributes, load_meta, with_tags
from wordnet import synsets

VOCAB = 4096
meta = load_meta()
A, rng = Attributes(meta), random.Random(0)
corpus = [A.caption(with_tags(r), rng)[0] for r in meta for _ in range(2)] + [A.invented(rng)[0] for _ in range(60000)]
for _, lemmas, _, _ in synsets("data/wordnet"):  # general English words
    corpus += [lemma.replace("_", " ") for lemma in lemmas]

t = Tokenizer(models.BPE())
t.normalizer = normalizers.Sequence([normalizers.NFD(), normalizers.StripAccents(), normalizers.Lowercase()])
t.pre_tokenizer = pre_tokenizers.Sequence([
    pre_tokenizers.Split(Regex(r"\p{L}+|\p{N}|[^\s\p{L}\p{N}]+"), "removed", invert=True),
    pre_tokenizers.ByteLevel(add_prefix_space=True, use_regex=False)])
t.decoder = decoders.ByteLevel()
t.train_from_iterator(corpus, trainers.BpeTrainer(vocab_size=VOCAB - 2, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
                                                  min_frequency=2, show_progress=False))
t.add_special_tokens(["<|startoftext|>", "<|endoftext|>"])
sot, eot = t.token_to_id("<|startoftext|>"), t.token_to_id("<|endoftext|>")
assert (sot, eot) == (VOCAB - 2, VOCAB - 1), (sot, eot)
t.post_processor = processors.TemplateProcessing(single="<|startoftext|> $A <|endoftext|>", pair="<|startoftext|> $A $B <|endoftext|>",
                                                 special_tokens=[("<|startoftext|>", sot), ("<|endoftext|>", eot)])
t.save("cache/tokenizer.json")
for s in ("red tesla", "a photo of a white Ford F-150", "Citroën C4 coupé", "rolls royce phantom", "golden retriever", "日本車"):
    print(s, t.encode(s).tokens)
